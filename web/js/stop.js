// "Stop and keep": a button in the node that optimizes, there only while it runs. It ends the run
// early and lets the graph go on with what it has. Without a browser: POST /tokenopt/stop.
import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";
import { addBox } from "./box.js";
import { findNode } from "./find_node.js";
import { inLanguage } from "./languages.js";

const NODES = [
    "TokenOpt_Optimize", "TokenOpt_Sweep", "TokenOpt_EasyTextEdit", "TokenOpt_EasyInpaint",
];
const LABEL = "Stop and keep the result";
const STOPPING = "Stopping after this step ...";
const HINT = "End this run now; the graph goes on with the result so far.";
const ENDS = ["execution_success", "execution_error", "execution_interrupted"];

const HEIGHT = 26;
const STYLE = `width: 100%; height: ${HEIGHT}px; padding: 0; border-radius: 8px; cursor: pointer;
    font: 12px Inter, system-ui, sans-serif; color: var(--input-text, #ddd);
    background: var(--comfy-input-bg, #222); border: 1px solid var(--border-color, #555);`;

const buttons = new WeakMap(); // node -> { button, box }
let running = null; // { node, id, button, box } of the node that shows its button now

async function stop(id) {
    const body = id === undefined ? {} : { node_id: String(id) };
    const answer = await api.fetchApi("/tokenopt/stop", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
    });
    if (answer.ok) return true;
    const { error } = await answer.json().catch(() => ({ error: answer.statusText }));
    app.extensionManager.toast.add({
        severity: "warn", summary: "Stop and keep", detail: error, life: 5000,
    });
    return false;
}

function show(node, id) {
    hide();
    if (!buttons.has(node)) return;
    running = { node, id, ...buttons.get(node) };
    label(LABEL, false);
    running.box.show(true);
}

function hide() {
    running?.box.show(false);
    running = null;
}

function label(text, disabled) {
    const { button } = running;
    button.textContent = inLanguage(text);
    button.disabled = disabled;
    button.style.opacity = disabled ? 0.6 : 1;
}

function press(node) {
    if (running?.node !== node) return;
    label(STOPPING, true);
    stop(running.id).then((heard) => {
        if (!heard) hide();
    });
}

function addButton(node) {
    const button = document.createElement("button");
    button.style.cssText = STYLE;
    button.title = inLanguage(HINT);
    button.addEventListener("pointerdown", (event) => event.stopPropagation());
    button.addEventListener("click", () => press(node));
    buttons.set(node, { button, box: addBox(node, "stop_and_keep", button, () => HEIGHT) });
}

app.registerExtension({
    name: "tokenopt.StopAndKeep",
    commands: [
        {
            id: "TokenOpt.StopAndKeep",
            label: "TokenOpt: stop the running optimizer and keep its result",
            icon: "pi pi-stop-circle",
            function: () => stop(running?.id),
        },
    ],
    menuCommands: [{ path: ["TokenOpt"], commands: ["TokenOpt.StopAndKeep"] }],
    setup() {
        api.addEventListener("progress", ({ detail }) => {
            const node = findNode(detail.node); // another one after an undo or a change of tabs
            if (running?.node !== node && NODES.includes(node?.type)) show(node, detail.node);
        });
        api.addEventListener("executing", ({ detail }) => {
            if (running && detail !== running.id) hide();
        });
        for (const end of ENDS) api.addEventListener(end, hide);
    },
    nodeCreated(node) {
        if (NODES.includes(node.comfyClass)) addButton(node);
    },
});
