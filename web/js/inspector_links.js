// Where the tokens of a node go: the nodes at the other ends of its links, through the borders of
// subgraphs.
import { app } from "/scripts/app.js";

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
