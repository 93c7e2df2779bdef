// The node on the page that ComfyUI's messages mean by an id.
import { app } from "/scripts/app.js";

// "12:5" is node 5 inside the subgraph node 12.
export function findNode(id) {
    let graph = app.rootGraph ?? app.graph;
    let node = null;
    for (const part of String(id).split(":")) {
        node = graph?.getNodeById(part) ?? graph?.getNodeById(Number(part));
        graph = node?.subgraph;
    }
    return node;
}
