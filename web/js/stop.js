// "Stop and keep": a button in the node that optimizes, there only while it runs. It ends the run
// early and lets the graph go on with what it has. Without a browser: POST /tokenopt/stop.
import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";
import { findNode } from "./find_node.js";

const NODES = ["TokenOpt_Optimize", "TokenOpt_Sweep"];
const LABEL = "Stop and keep the result";
const STOPPING = "Stopping after this step ...";
const ENDS = ["execution_success", "execution_error", "execution_interrupted"];

let running = null; // { node, id, button } of the node that shows its button now

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
    const button = node.widgets?.find((widget) => widget.name === "stop_and_keep");
    if (!button) return;
    button.label = LABEL;
    button.disabled = false;
    button.hidden = false;
    running = { node, id, button };
    grow(node);
}

function hide() {
    if (!running) return;
    running.button.hidden = true;
    running.node.setDirtyCanvas(true, true);
    running = null;
}

// The node never shrinks by this: a size that the user chose stays.
function grow(node) {
    const least = node.computeSize();
    if (node.size[1] < least[1]) node.setSize([node.size[0], least[1]]);
    node.setDirtyCanvas(true, true);
}

function press(node) {
    if (running?.node !== node) return;
    const { button, id } = running;
    button.label = STOPPING;
    button.disabled = true;
    node.setDirtyCanvas(true, true);
    stop(id).then((heard) => {
        if (!heard) hide();
    });
}

app.registerExtension({
    name: "TokenOpt.StopAndKeep",
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
            if (running && running.id === detail.node) return;
            const node = findNode(detail.node);
            if (NODES.includes(node?.type)) show(node, detail.node);
        });
        api.addEventListener("executing", ({ detail }) => {
            if (running && detail !== running.id) hide();
        });
        for (const end of ENDS) api.addEventListener(end, hide);
    },
    nodeCreated(node) {
        if (!NODES.includes(node.comfyClass)) return;
        const button = node.addWidget("button", "stop_and_keep", null, () => press(node));
        button.label = LABEL;
        button.tooltip = "End this run now; the graph goes on with the result so far.";
        button.serialize = false; // neither in saved workflows ...
        button.options.serialize = false; // ... nor in prompts
        button.hidden = true;
    },
});
