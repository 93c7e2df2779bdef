// Shows what a node has to say about its last run (the ui output "tokenopt_notes": texts) in a box
// inside the node, there only while there is something to say.
import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";
import { addBox } from "./box.js";
import { findNode } from "./find_node.js";
import { showOutputs } from "./outputs.js";

const NAME = "tokenopt_notes";
const LINE = 15, MOST_HEIGHT = 190, LETTER = 6.7; // pixels; the widest letter's
const STYLE = `height: 100%; max-height: 100%; box-sizing: border-box; overflow: auto;
    padding: 6px 8px; border-radius: 8px; font: 11px/${LINE}px monospace; cursor: text;
    user-select: text; color: var(--input-text, #ddd); background: var(--comfy-input-bg, #222);
    scrollbar-width: thin; text-align: left;`;

const boxes = new WeakMap(); // node -> { element, box }

function addNotes(node) {
    const element = document.createElement("div");
    element.style.cssText = STYLE;
    element.tabIndex = 0;
    element.setAttribute("role", "note");
    element.addEventListener("pointerdown", (event) => event.stopPropagation());
    const height = () => Math.min(rows(element.textContent, node.size[0]) * LINE + 12, MOST_HEIGHT);
    const getValue = () => element.textContent;
    const box = addBox(node, NAME, element, height, { fills: true, getValue });
    boxes.set(node, { element, box, height });
}

const isTable = (text) => text.includes("  "); // columns: better scrolled than broken

// Lines of the text in a node of that width; one more for a table's scroll bar.
function rows(text, width) {
    const wide = Math.max(10, Math.floor((width - 40) / LETTER));
    const lines = text.split("\n");
    if (isTable(text)) return lines.length + 1;
    return lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / wide)), 0);
}

function show(node, notes) {
    const found = boxes.get(node);
    if (!found) return;
    const text = (notes ?? []).join("\n\n");
    const { element, box, height } = found;
    element.textContent = text;
    element.style.whiteSpace = isTable(text) ? "pre" : "pre-wrap";
    element.style.minHeight = `${height()}px`;
    box.show(Boolean(text));
    if (text) box.fit();
}

app.registerExtension({
    name: "tokenopt.Notes",
    setup() {
        api.addEventListener("executing", ({ detail }) => {
            const node = detail && findNode(detail);
            if (node) show(node, []); // what it said belongs to the run before
        });
    },
    nodeCreated(node) {
        if (!node.comfyClass?.startsWith("TokenOpt_")) return;
        addNotes(node);
        showOutputs(node, (output) => show(node, output?.[NAME]));
    },
});
