// The texts of the Token Inspector's widgets: positions such as "0-3, 7", edits such as
// "3: 417, 1/7: 12". The node's own reading of them (nodes/editing/inspect.py) is the one that counts.

// Positions below `count`, or null if the text is not understood.
export function readPositions(text, count) {
    const plain = String(text ?? "").trim().toLowerCase();
    if (!plain) return [];
    if (plain === "all") return [...Array(count).keys()];
    const found = new Set();
    for (const part of plain.split(/[,;\n]|(?<=\d)\s+(?=\d)/)) {
        if (!part.trim()) continue;
        const match = /^(\d+)(?:\s*-\s*(\d+))?$/.exec(part.trim());
        const [first, last] = match ? [Number(match[1]), Number(match[2] ?? match[1])] : [1, 0];
        if (first > last || last >= count) return null;
        for (let position = first; position <= last; position++) found.add(position);
    }
    return [...found].sort((a, b) => a - b);
}

// Three and more neighbours become a range.
export function writePositions(positions) {
    const sorted = [...positions].sort((a, b) => a - b);
    const parts = [];
    for (let start = 0, end; start < sorted.length; start = end + 1) {
        end = start;
        while (sorted[end + 1] === sorted[end] + 1) end++;
        if (end - start >= 2) parts.push(`${sorted[start]}-${sorted[end]}`);
        else parts.push(...sorted.slice(start, end + 1));
    }
    return parts.join(", ");
}

// Map of "image/position" -> code over all images, or null if the text is not understood. What names
// an image wins.
export function readEdits(text, images) {
    const everywhere = new Map(), single = new Map();
    for (const part of String(text ?? "").split(/[,;\n]/)) {
        if (!part.trim()) continue;
        const match = /^(?:(\d+)\s*\/\s*)?(\d+)\s*[:=]\s*(\d+)$/.exec(part.trim());
        if (!match) return null;
        const [, image, position, code] = match.map((digits) => digits && Number(digits));
        if (image !== undefined) single.set(`${image}/${position}`, code);
        else for (let k = 0; k < images; k++) everywhere.set(`${k}/${position}`, code);
    }
    return new Map([...everywhere, ...single]);
}

// In order of image and position; what holds for every image is written once.
export function writeEdits(edits, images) {
    const byPosition = new Map();
    for (const [key, code] of edits) {
        const [image, position] = key.split("/").map(Number);
        if (!byPosition.has(position)) byPosition.set(position, new Map());
        byPosition.get(position).set(image, code);
    }
    const parts = [];
    for (const position of [...byPosition.keys()].sort((a, b) => a - b)) {
        const codes = byPosition.get(position);
        const all = codes.size === images && new Set(codes.values()).size === 1;
        if (all) parts.push(`${position}: ${[...codes.values()][0]}`);
        else for (const [image, code] of [...codes].sort((a, b) => a[0] - b[0]))
            parts.push(`${image}/${position}: ${code}`);
    }
    return parts.join(", ");
}
