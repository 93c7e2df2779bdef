// Where the tokens of a node go: the nodes at the other ends of its links, through the borders of
// subgraphs, and what the page still knows of a node's last run.
import { app } from "/scripts/app.js";
import { findNode } from "./find_node.js";

const rootGraph = () => app.rootGraph ?? app.graph;

// Nodes that an output leads to; instead of a subgraph what takes the link inside it.
export function nextNodes(node, slot) {
    return followed(node.graph, node.outputs?.[slot]?.links);
}

function followed(graph, links) {
    const found = [];
    for (const id of links ?? []) {
        const link = graph.getLink(id);
        if (!link) continue;
        const next = graph.getNodeById(link.target_id);
        if (next?.subgraph)
            found.push(...followed(next.subgraph, next.subgraph.inputs[link.target_slot]?.linkIds));
        else if (next) found.push(next);
        else if (link.target_id === graph.outputNode?.id) // out of the subgraph that the node is in
            for (const outer of copiesOf(graph)) found.push(...nextNodes(outer, link.target_slot));
    }
    return [...new Set(found)];
}

function copiesOf(subgraph) {
    const graphs = [rootGraph(), ...(rootGraph().subgraphs?.values() ?? [])];
    return graphs.flatMap((graph) => graph.nodes).filter((node) => node.subgraph === subgraph);
}

// The ui output of a node's last run, as far as the page has it. It is kept by "6", in subgraphs by
// "graph:6", and after a change of tabs by "12:6", where 12 is the subgraph's node.
export function outputOf(node) {
    const outputs = app.nodeOutputs ?? {};
    const key = Object.keys(outputs).find((id) => findNode(id) === node);
    return outputs[`${node.graph?.id}:${node.id}`] ?? outputs[key];
}

// By workflow: what its nodes sent last. The page's own memory, which an undo and a change of tabs
// show again, lacks what comes sooner than the server's answer to the request to run, as cached
// outputs do on a busy machine.
const ran = new WeakMap();
const workflow = () => app.extensionManager?.workflow?.activeWorkflow ?? app;
const keyOf = (node) => `${node.graph?.id}:${node.id}`;

export function remember(node, output) {
    if (!ran.has(workflow())) ran.set(workflow(), new Map());
    ran.get(workflow()).set(keyOf(node), output);
}

export function remembered(node) {
    return ran.get(workflow())?.get(keyOf(node));
}
