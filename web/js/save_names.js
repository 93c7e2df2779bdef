// The page fills in %date:...% and %Node.widget% of a file name for ComfyUI's own nodes only; here
// for the nodes of this pack. What is left, or comes from elsewhere, nodes/host/files.py completes.
import { app } from "/scripts/app.js";

const UNFIT = /[<>:"|?*]/g; // in names on Windows, as in hh:mm; a slash of a date makes a folder

function filled(text) {
    const fill = window.comfyAPI?.utils?.applyTextReplacements;
    if (!fill) return text;
    return text.replace(/%[^%]+%/g, (part) => {
        const found = fill(app, part);
        return found === part ? part : found.replace(UNFIT, "_");
    });
}

app.registerExtension({
    name: "tokenopt.SaveNames",
    nodeCreated(node) {
        if (!node.comfyClass?.startsWith("TokenOpt_")) return;
        const widget = node.widgets?.find(({ name }) => name === "filename_prefix");
        if (!widget) return;
        widget.serializeValue = () =>
            typeof widget.value === "string" ? filled(widget.value) : widget.value;
    },
});
