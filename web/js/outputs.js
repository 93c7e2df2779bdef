// The ui output of a node's last run, shown in the node also after an undo, another tab or a reload
// of the page has made it anew: the page still has the output then, or the server sends it again.
import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";
import { chain } from "./box.js";
import { findNode } from "./find_node.js";

const SETTLED = 300; // ms after a node was made anew, the page knows which tab it belongs to

const restorers = new Set(); // of all nodes on the page that show something

// Calls `show(output, fresh)` after each run, and for a node that is made anew with what its last run
// sent, if the page has it: then `fresh` is false.
export function showOutputs(node, show) {
    const restore = (output) => {
        if (output) show(output, false);
    };
    const again = () => restore(outputOf(node));
    restorers.add(again);
    chain(node, "onRemoved", () => restorers.delete(again));
    chain(node, "onExecuted", (output) => {
        remember(node, output);
        show(output, true);
    });
    chain(node, "onConfigure", () => {
        setTimeout(again);
        setTimeout(() => restore(remembered(node)), SETTLED);
    });
}

// The page keeps an output by "6", in subgraphs by "graph:6", and after a change of tabs by "12:6",
// where 12 is the subgraph's node.
function outputOf(node) {
    const outputs = app.nodeOutputs ?? {};
    const key = Object.keys(outputs).find((id) => findNode(id) === node);
    return outputs[keyOf(node)] ?? outputs[key];
}

// By workflow: what its nodes sent last. The page's own memory, which an undo and a change of tabs
// show again, lacks what comes sooner than the server's answer to the request to run, as cached
// outputs do on a busy machine.
const ran = new WeakMap();
const workflow = () => app.extensionManager?.workflow?.activeWorkflow ?? app;
const keyOf = (node) => `${node.graph?.id}:${node.id}`;

function remember(node, output) {
    if (!ran.has(workflow())) ran.set(workflow(), new Map());
    ran.get(workflow()).set(keyOf(node), output);
}

function remembered(node) {
    return ran.get(workflow())?.get(keyOf(node));
}

app.registerExtension({
    name: "tokenopt.Outputs",
    setup() {
        // A run may end while another tab is open: then only the page knows what it sent.
        api.addEventListener("execution_start", () => ran.delete(workflow()));
    },
    onNodeOutputsUpdated() { // a tab, or an entry of the queue, with the outputs of its run
        for (const again of restorers) again();
    },
});
