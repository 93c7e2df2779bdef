// What keys and pointer do in the Token Inspector's strips: select, move about, edit, carry codes to
// another strip. One pair of listeners for each kind of event and node, none on single cells.

const START = 5; // pixels that a pointer moves before it is a drag
let carried = null; // what Ctrl+C took: see `load`

export function addControls(strips) {
    const { element } = strips;
    element.addEventListener("keydown", (event) => key(strips, event));
    element.addEventListener("pointerdown", (event) => press(strips, event));
    element.addEventListener("dblclick", (event) => {
        const cell = strips.cellOf(event.target);
        if (cell) edit(strips, cell);
    });
    // Not "pointerover", which also comes when a cell changes below a pointer at rest.
    element.addEventListener("pointermove", (event) => strips.tell(strips.cellOf(event.target)));
    element.addEventListener("focusin", (event) => strips.tell(strips.cellOf(event.target)));
}

function placeOf(cell) {
    return [Number(cell.dataset.image), Number(cell.dataset.position)];
}

// Cells in one visual row: strips wrap to the width of the node.
function columns(cell) {
    return getComputedStyle(cell.parentElement).gridTemplateColumns.split(" ").length;
}

function key(strips, event) {
    const cell = strips.cellOf(event.target);
    if (!cell || event.target !== cell || event.altKey) return;
    const control = event.ctrlKey || event.metaKey;
    const action = actions(strips, cell, event.shiftKey)[(control ? "Ctrl+" : "") + event.key];
    if (!action) return;
    event.preventDefault(); // the canvas knows these keys too: Delete would remove the node
    event.stopPropagation();
    action();
}

function actions(strips, cell, shift) {
    const [image, position] = placeOf(cell);
    const wide = columns(cell), selected = new Set(strips.selected);
    const go = (row, column) => {
        strips.focus(row, column);
        if (shift) strips.select([...selected, position, strips.at[1]]);
    };
    const down = () => (position + wide < strips.count ? go(image, position + wide)
        : image + 1 < strips.images ? go(image + 1, position % wide) : undefined);
    const up = () => {
        if (position >= wide) return go(image, position - wide);
        const last = Math.floor((strips.count - 1 - position) / wide) * wide + position;
        return image ? go(image - 1, last) : undefined;
    };
    return {
        ArrowLeft: () => go(image, position - 1),
        ArrowRight: () => go(image, position + 1),
        ArrowDown: down,
        ArrowUp: up,
        Home: () => go(image, 0),
        End: () => go(image, strips.count - 1),
        " ": () => toggle(strips, position),
        Enter: () => edit(strips, cell),
        F2: () => edit(strips, cell),
        Delete: () => undo(strips, cell),
        Backspace: () => undo(strips, cell),
        Escape: () => strips.select([]),
        "Ctrl+a": () => strips.select([...Array(strips.count).keys()]),
        "Ctrl+c": () => {
            if (!strips.result.codes) return strips.say("A VAE has no codes to copy.");
            carried = load(strips, cell);
            strips.say(`copied ${carried.codes.map(([p, code]) => `${p}: ${code}`).join(", ")}`);
        },
        "Ctrl+v": () => drop(strips, carried, image, null),
    };
}

function toggle(strips, position) {
    const selected = new Set(strips.selected);
    if (!selected.delete(position)) selected.add(position);
    strips.select(selected);
}

function undo(strips, cell) {
    const [image, position] = placeOf(cell);
    const before = strips.result.before?.[image][position];
    strips.put([[image, position, before]]);
}

function choose(strips, cell, event) {
    const [image, position] = placeOf(cell);
    const from = strips.anchor ?? position;
    if (event.shiftKey) {
        const [low, high] = [Math.min(from, position), Math.max(from, position)];
        strips.select(Array.from({ length: high - low + 1 }, (_, k) => low + k));
    } else {
        strips.anchor = position;
        if (event.ctrlKey || event.metaKey) toggle(strips, position);
        else strips.select([position]);
    }
    strips.focus(image, position);
}

// A number field in the cell: Enter or leaving it takes the code, Escape does not.
function edit(strips, cell) {
    const [image, position] = placeOf(cell);
    const problem = strips.refusal([]);
    if (problem) return strips.say(problem);
    if (cell.querySelector("input")) return;
    const field = document.createElement("input");
    Object.assign(field, { type: "text", inputMode: "numeric", className: "tokenopt-field" });
    field.value = strips.stateOf(image, position).code;
    field.setAttribute("aria-label", `code of position ${position}`);
    let open = true;
    const close = (take) => {
        const code = /^\s*\d+\s*$/.test(field.value) ? Number(field.value) : NaN;
        if (!open || (take && !check(strips, field, image, position, code))) return;
        open = false;
        field.remove();
        strips.focus(image, position);
        if (take) strips.put([[image, position, code]]);
    };
    field.addEventListener("keydown", (event) => {
        event.stopPropagation();
        if (event.key === "Enter") close(true);
        if (event.key === "Escape") close(false);
    });
    field.addEventListener("input", () => {
        check(strips, field, image, position, field.value.trim() ? Number(field.value) : NaN);
    });
    field.addEventListener("blur", () => {
        close(true);
        close(false); // a code that does not exist is dropped
    });
    cell.append(field);
    field.focus({ preventScroll: true });
    field.select();
    strips.say(`position ${position}: a code from 0 to ${strips.result.codebook_size - 1}`);
}

function check(strips, field, image, position, code) {
    const problem = strips.refusal([[image, position, code]]);
    field.setAttribute("aria-invalid", Boolean(problem));
    if (problem) strips.say(problem);
    return !problem;
}

// What a cell hands over: its code, or those of all selected cells if it is one of them.
function load(strips, cell) {
    const [image, position] = placeOf(cell), selected = strips.selected;
    const positions = selected.includes(position) ? selected : [position];
    const codes = positions.map((p) => [p, strips.stateOf(image, p).code]);
    return { tokenizer: strips.result.tokenizer, codes };
}

// Puts what is carried into an image. A single code goes to the position that it is dropped on;
// several, and those dropped beside the cells, to the positions that they come from.
function drop(strips, what, image, position) {
    if (!what || !strips.result) return;
    if (what.tokenizer !== strips.result.tokenizer)
        return strips.say(`Those codes are of ${what.tokenizer}, these of ${strips.result.tokenizer}.`);
    const alone = what.codes.length === 1 && position !== null;
    strips.put(what.codes.map(([from, code]) => [image, alone ? position : from, code]));
}

function press(strips, event) {
    const cell = strips.cellOf(event.target);
    const scrolls = event.pointerType === "touch" && strips.scroll.contains(event.target)
        && strips.scroll.scrollHeight > strips.scroll.clientHeight;
    if (event.button === 0 && (cell || scrolls))
        event.stopPropagation(); // the new rendering would drag the node
    if (event.button !== 0 || !cell) return;
    if (event.target.matches("input")) return;
    cell.setPointerCapture(event.pointerId);
    const second = (other) => { // finger: it is a pinch, and no drag
        if (other.pointerId !== event.pointerId) stop(other);
    };
    const drag = { strips, cell, x: event.clientX, y: event.clientY, ghost: null, over: null };
    const stop = (ended) => {
        ended.stopPropagation();
        window.removeEventListener("pointerdown", second, true);
        cell.removeEventListener("pointermove", follow);
        for (const end of ["pointerup", "pointercancel"]) cell.removeEventListener(end, stop);
        const target = drag.ghost && ended.type === "pointerup" && targetAt(ended);
        mark(drag, null);
        drag.ghost?.remove();
        if (target) drop(target.strips, load(strips, cell), target.image, target.position);
        else if (!drag.ghost && ended.type === "pointerup") choose(strips, cell, ended);
    };
    const follow = (moved) => {
        moved.stopPropagation();
        pull(drag, moved);
    };
    window.addEventListener("pointerdown", second, true);
    cell.addEventListener("pointermove", follow);
    for (const end of ["pointerup", "pointercancel"]) cell.addEventListener(end, stop);
}

function pull(drag, event) {
    const far = Math.hypot(event.clientX - drag.x, event.clientY - drag.y) >= START;
    if (!drag.ghost && (!far || !drag.strips.result.codes)) return;
    if (!drag.ghost) {
        const { codes } = load(drag.strips, drag.cell);
        drag.ghost = document.createElement("div");
        drag.ghost.className = "tokenopt-ghost";
        drag.ghost.textContent = codes.length > 1 ? `${codes.length} codes` : codes[0][1];
        const { style } = drag.cell;
        for (const name of ["--paper", "--ink"])
            drag.ghost.style.setProperty(name, style.getPropertyValue(name));
        document.body.append(drag.ghost);
    }
    drag.ghost.style.translate = `${event.clientX}px ${event.clientY}px`;
    const target = targetAt(event);
    const { codes } = load(drag.strips, drag.cell);
    const cell = codes.length === 1 && target?.cell;
    mark(drag, cell || target?.strips.scroll);
    const places = cell ? [[target.position, codes[0][1]]] : codes;
    target?.strips.say(`drop to put ${places.map(([p, code]) => `${p}: ${code}`).join(", ")}`);
}

function targetAt(event) {
    const under = document.elementFromPoint(event.clientX, event.clientY);
    const strips = under?.closest(".tokenopt-inspector")?.strips;
    if (!strips?.result) return null;
    const cell = strips.cellOf(under);
    const row = under.closest(".tokenopt-image");
    const image = row ? [...strips.list.children].indexOf(row) : 0;
    return { strips, cell, image, position: cell && Number(cell.dataset.position) };
}

function mark(drag, element) {
    drag.over?.classList.remove("tokenopt-over");
    drag.over = element;
    element?.classList.add("tokenopt-over");
}
