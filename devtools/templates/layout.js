([columns, sources, sizes, [note, room], versions, gaps, reroutes, groups]) => {
    const graph = app.graph, tops = {}, framed = Object.values(groups).flat();
    let left = 0;
    for (const [id, [from, slot]] of Object.entries(reroutes)) {
        const source = graph.getNodeById(Number(from)), node = LiteGraph.createNode('Reroute');
        const links = source.outputs[slot].links.map((link) => graph.links[link]);
        const targets = links.map((link) => [link.target_id, link.target_slot]);
        node.id = Number(id);
        graph.add(node);
        source.connect(slot, node, 0);
        for (const [target, input] of targets) node.connect(0, target, input);
    }
    if (note) {
        const node = LiteGraph.createNode('MarkdownNote');
        graph.add(node);
        node.title = 'What this does';
        node.widgets[0].value = note;
        node.pos = [0, 0];
        node.size = room;
        left = room[0] + gaps[0];
    }
    for (const column of columns) {
        let free = 0, width = 0;
        const mean = (id) => sources[id].reduce((sum, from) => sum + tops[from], 0)
            / Math.max(1, sources[id].length);
        for (const id of column.toSorted((a, b) => mean(a) - mean(b))) {
            const node = graph.getNodeById(Number(id));
            const least = node.computeSize();
            const wanted = sizes[node.type] ?? [300, 0];
            const across = Math.max(wanted[0], Math.min(least[0], 420));
            node.size = [across, Math.max(wanted[1], least[1])];
            node.onResize?.(node.size);
            const title = framed.includes(id) ? 40 : 0;  // of the group around it
            tops[id] = Math.max(free + title, Math.round(mean(id)));
            node.pos = [left, tops[id]];
            free = tops[id] + node.size[1] + gaps[1];
            width = Math.max(width, node.size[0]);
        }
        left += width + gaps[0];
    }
    for (const [title, ids] of Object.entries(groups)) {
        const group = new LiteGraph.LGraphGroup(title);
        const nodes = ids.map((id) => graph.getNodeById(Number(id)));
        for (const node of nodes) node.updateArea();
        graph.add(group);
        group.resizeTo(nodes, 20);
    }
    for (const node of graph._nodes) {
        const [pack, version] = node.type.startsWith('TokenOpt_')
            ? ['tokenopt', versions[0]] : ['comfy-core', versions[1]];
        const origin = {cnr_id: pack, ver: version, 'Node name for S&R': node.type};
        Object.assign(node.properties, origin);
        for (const widget of node.widgets ?? [])
            if (widget.name === 'control_after_generate') widget.value = 'fixed';
    }
    graph.setDirtyCanvas(true, true);
}
