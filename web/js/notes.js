// Shows what a node has to say about its last run (the ui output "tokenopt_notes": texts) in a box
// inside the node, there only while there is something to say.
import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";
import { ComfyWidgets } from "/scripts/widgets.js";
import { findNode } from "./find_node.js";

const NAME = "tokenopt_notes";

function box(node) {
    const found = node.widgets?.find((widget) => widget.name === NAME);
    if (found) return found;
    const { widget } = ComfyWidgets.STRING(node, NAME, ["STRING", { multiline: true }], app);
    widget.serialize = false; // neither in saved workflows ...
    widget.options.serialize = false; // ... nor in prompts
    const element = widget.inputEl ?? widget.element;
    element.readOnly = true;
    element.style.fontFamily = "monospace";
    element.style.overflow = "auto";
    return widget;
}

function show(node, notes) {
    const text = (notes ?? []).join("\n\n");
    if (!text && !node.widgets?.some((widget) => widget.name === NAME)) return;
    const widget = box(node);
    widget.value = text;
    widget.hidden = !text;
    const table = text.includes("  "); // columns: better scrolled than broken
    (widget.inputEl ?? widget.element).style.whiteSpace = table ? "pre" : "pre-wrap";
    const least = node.computeSize();
    node.setSize([node.size[0], Math.max(node.size[1], least[1])]);
    node.setDirtyCanvas(true, true);
}

app.registerExtension({
    name: "TokenOpt.Notes",
    setup() {
        api.addEventListener("executing", ({ detail }) => {
            const node = detail && findNode(detail);
            if (node) show(node, []); // what it said belongs to the run before
        });
    },
    nodeCreated(node) {
        if (!node.comfyClass?.startsWith("TokenOpt_")) return;
        const onExecuted = node.onExecuted;
        node.onExecuted = function (output) {
            onExecuted?.apply(this, arguments);
            show(this, output?.[NAME]);
        };
    },
});
