// The Token Inspector's picture of a batch: per image a strip of cells, one for each token, and the
// decoded image beside it. Shows what the last run sent; all that the user does here ends up in the
// node's two text widgets, from which it is drawn again.
import { colourOf, greyOf } from "./inspector_colours.js";
import { readEdits, readPositions, writeEdits, writePositions } from "./inspector_text.js";

const HINT = "Run the workflow: the tokens show up here.";
const VAE = "This tokenizer is a VAE: no codes, brighter cells are longer vectors.";

export class Strips {
    // `host` is the node as seen from here: read(name), write(name, text), isLinked(name) for its
    // widgets, together(change) for what one undo takes back, address(file) of a thumbnail, and
    // selected(positions) after each selection.
    constructor(host) {
        this.host = host;
        this.result = null;
        this.cells = []; // [image][position]
        this.at = [0, 0]; // image and position of the cell that Tab reaches
        this.element = make("div", "tokenopt-inspector");
        this.list = make("div", "tokenopt-list", { role: "grid", "aria-multiselectable": "true" });
        this.list.setAttribute("aria-label", "Tokens: a row for each image, a cell for each token");
        this.scroll = make("div", "tokenopt-scroll");
        this.scroll.append(this.list);
        this.status = make("div", "tokenopt-status", { role: "status", "aria-live": "polite" });
        this.foot = make("div", "tokenopt-foot");
        this.foot.append(this.status);
        this.element.append(this.scroll, this.foot);
        this.element.strips = this; // where a drag ends
        this.say(HINT);
    }

    // What one run sent: the node's ui output.
    show(output) {
        const result = output?.tokenopt_inspector?.[0];
        if (!result || result === this.result) return;
        // In the output itself, which outlives this node: an undo makes another.
        const comparable = this.result?.tokenizer === result.tokenizer;
        result.codes_before ??= (comparable && this.result.codes) || null;
        this.result = result;
        const rows = result.codes ?? result.magnitudes;
        if (rows.length !== this.cells.length || rows[0].length !== this.cells[0].length)
            this.build(rows);
        const files = output.tokenopt_thumbnails ?? [];
        this.list.querySelectorAll("img").forEach((image, k) => {
            image.hidden = !files[k];
            if (files[k]) image.src = this.host.address(files[k]);
        });
        this.paint();
        const hidden = result.images - rows.length;
        this.say(result.codes ? (hidden ? `${hidden} more images are not shown.` : "") : VAE);
    }

    build(rows) {
        this.list.replaceChildren();
        const count = rows[0].length;
        this.element.classList.toggle("tokenopt-dense", count > 64);
        this.cells = rows.map((row, image) => {
            const line = make("div", "tokenopt-image", { role: "row" });
            const thumbnail = make("img", "tokenopt-thumbnail", { alt: `Decoded image ${image}` });
            thumbnail.draggable = false;
            const strip = make("div", "tokenopt-strip", { role: "presentation" });
            const cells = row.map((_, position) => {
                const cell = make("div", "tokenopt-cell", { role: "gridcell", tabindex: "-1" });
                Object.assign(cell.dataset, { image, position });
                cell.append(make("span", "tokenopt-position"), make("span", "tokenopt-code"));
                cell.firstChild.textContent = position;
                return cell;
            });
            strip.append(...cells);
            const frame = make("div", "tokenopt-frame", { role: "presentation" });
            frame.append(strip);
            line.append(thumbnail, frame);
            this.list.append(line);
            return cells;
        });
        this.at = [0, 0];
    }

    get images() { return this.cells.length; }
    get count() { return this.cells[0]?.length ?? 0; }
    get edits() { return readEdits(this.host.read("edits"), this.result?.images ?? 0); }
    get selected() { return readPositions(this.host.read("positions"), this.count) ?? []; }

    // Cells in the colours and with the marks that the last run and the widgets ask for.
    paint() {
        if (!this.result) return;
        const edits = this.edits, selected = new Set(this.selected);
        const most = Math.max(...(this.result.magnitudes ?? [[1]]).flat(), 1e-9);
        this.cells.forEach((row, image) => row.forEach((cell, position) => {
            const state = this.stateOf(image, position, edits);
            const { paper, ink } = state.code === null
                ? greyOf(state.magnitude / most) : colourOf(state.code);
            cell.style.setProperty("--paper", paper);
            cell.style.setProperty("--ink", ink);
            cell.children[1].textContent = state.code ?? state.magnitude.toFixed(1);
            cell.classList.toggle("tokenopt-changed", state.changedFrom !== null);
            cell.classList.toggle("tokenopt-edited", state.code !== state.before);
            cell.classList.toggle("tokenopt-pending", state.pending);
            cell.setAttribute("aria-selected", selected.has(position));
            cell.title = this.words(state);
            cell.setAttribute("aria-label", cell.title);
            const reached = image === this.at[0] && position === this.at[1];
            cell.tabIndex = reached ? 0 : -1;
        }));
    }

    // Of one cell: `before` the edits, `code` with them, whether the last run knew of that, and
    // `changedFrom`, the code of the run before, null where it was the same or there was none.
    stateOf(image, position, edits = this.edits) {
        const { codes, before, magnitudes } = this.result;
        if (!codes) {
            const magnitude = magnitudes[image][position];
            const none = { code: null, before: null, changedFrom: null, pending: false };
            return { image, position, magnitude, ...none };
        }
        const ran = codes[image][position], original = before[image][position];
        const code = edits ? edits.get(`${image}/${position}`) ?? original : ran;
        const last = this.result.codes_before?.[image]?.[position] ?? ran;
        const changedFrom = last === ran ? null : last;
        return { image, position, code, before: original, changedFrom, pending: code !== ran };
    }

    words(state) {
        if (state.code === null)
            return `position ${state.position}, magnitude ${state.magnitude}`;
        const parts = [`position ${state.position}, code ${state.code}`];
        if (this.images > 1) parts[0] = `image ${state.image}, ${parts[0]}`;
        if (state.code !== state.before) parts.push(`edited from ${state.before}`);
        if (state.pending) parts.push("not yet run");
        else if (state.changedFrom !== null) parts.push(`was ${state.changedFrom} in the last run`);
        return parts.join(", ");
    }

    say(text) { this.status.textContent = text; }

    tell(cell) { if (cell && this.status.textContent !== cell.title) this.say(cell.title); }

    cellOf(target) { return target?.closest?.(".tokenopt-cell") ?? null; }

    // Moves the focus to a cell; those beyond the ends are the ends.
    focus(image, position) {
        const clamp = (value, count) => Math.max(0, Math.min(count - 1, value));
        const [row, column] = this.at;
        if (this.cells[row]?.[column]) this.cells[row][column].tabIndex = -1;
        this.at = [clamp(image, this.images), clamp(position, this.count)];
        const cell = this.cells[this.at[0]][this.at[1]];
        cell.tabIndex = 0;
        cell.focus({ preventScroll: true });
        if (this.scroll.scrollHeight > this.scroll.clientHeight)
            cell.scrollIntoView({ block: "nearest" });
        this.tell(cell);
    }

    // Positions are of all images at once, as every node that takes them understands them.
    select(positions) {
        if (this.host.isLinked("positions"))
            return this.say("positions comes from another node: disconnect it to select here.");
        this.host.together(() => {
            this.host.write("positions", writePositions(new Set(positions)));
            this.paint();
            this.host.selected(this.selected);
        });
    }

    // Writes codes [[image, position, code], ...] into the edits; true if all went well.
    put(entries) {
        const problem = this.refusal(entries);
        if (problem) {
            this.say(problem);
            return false;
        }
        const edits = this.edits;
        for (const [image, position, code] of entries) {
            if (code === this.result.before[image][position]) edits.delete(`${image}/${position}`);
            else edits.set(`${image}/${position}`, code);
        }
        this.host.write("edits", writeEdits(edits, this.result.images));
        this.paint();
        const [image, position] = entries[0];
        this.tell(this.cells[image][position]);
        return true;
    }

    refusal(entries) {
        if (!this.result) return HINT;
        if (!this.result.codes) return VAE;
        if (this.host.isLinked("edits"))
            return "edits comes from another node: disconnect it to edit here.";
        if (!this.edits) return "The text in edits is not understood: correct or empty it first.";
        const most = this.result.codebook_size - 1;
        for (const [image, position, code] of entries) {
            if (!Number.isInteger(code) || code < 0 || code > most)
                return `The code must be a whole number from 0 to ${most}.`;
            if (!this.cells[image]?.[position]) return "There is no such cell here.";
        }
        return "";
    }
}

function make(tag, kind, attributes = {}) {
    const element = document.createElement(tag);
    element.className = kind;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
}
