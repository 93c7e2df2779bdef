// The loss while an optimizer runs, as a small curve in its node: the sum, and each term if there are
// several. Fed by "tokenopt.loss" messages (nodes/host/loss_feed.py), a few a second, and at the end by the
// whole curve in the ui output "tokenopt_curve". It stays until the next run, and takes no room before
// the first.
import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";
import { addBox } from "./box.js";
import { findNode } from "./find_node.js";
import { showOutputs } from "./outputs.js";

const NODES = [
    "TokenOpt_Optimize", "TokenOpt_Sweep", "TokenOpt_EasyTextEdit", "TokenOpt_EasyInpaint",
];
const HEIGHT = 104, PLOT = 66;
const SVG = "http://www.w3.org/2000/svg";
// Okabe and Ito's, for colour-blind people; as in the chart that the node gives out.
const COLOURS = ["#56b4e9", "#f0aa28", "#28c494", "#ff8050", "#d688b4", "#f0e45a"];
const CSS = `
.tokenopt-loss { font: 10.5px/1.25 Inter, system-ui, sans-serif; color: var(--input-text, #ddd);
    border-radius: 8px; padding: 5px 8px 6px; box-sizing: border-box; height: ${HEIGHT}px;
    background: var(--comfy-input-bg, #222); user-select: none; overflow: hidden;
    font-variant-numeric: tabular-nums; text-align: left; }
.tokenopt-loss-head { display: flex; gap: 10px; height: 15px; white-space: nowrap; overflow: hidden; }
.tokenopt-loss-head i { display: inline-block; width: 9px; height: 3px; border-radius: 2px;
    margin: 0 4px 2.5px 0; }
.tokenopt-loss-head span { min-width: 0; overflow: hidden; text-overflow: ellipsis; }
.tokenopt-loss-head span:first-child { flex: none; max-width: 60%; }
.tokenopt-loss-head .tokenopt-loss-where { margin-left: auto; flex: none; color: var(--descrip-text, #999); }
.tokenopt-loss-plot { position: relative; height: ${PLOT}px; margin-top: 6px; padding-left: 46px; }
.tokenopt-loss-plot svg { display: block; width: 100%; height: 100%; overflow: visible; }
.tokenopt-loss-plot path { fill: none; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.tokenopt-loss-tick { position: absolute; left: 0; width: 40px; text-align: right;
    color: var(--descrip-text, #999); }
`;

const curves = new WeakMap(); // node -> its Curve

class Curve {
    constructor(node) {
        this.element = make("div", "tokenopt-loss");
        this.element.setAttribute("role", "img");
        this.points = [];
        this.growing = false; // by messages of a run
        this.head = make("div", "tokenopt-loss-head");
        this.plot = make("div", "tokenopt-loss-plot");
        this.element.append(this.head, this.plot);
        this.box = addBox(node, "tokenopt_loss", this.element, () => HEIGHT);
    }

    // A node that was made anew in the middle of a run shows the rest of it.
    add({ first, names, points, steps, title }) {
        if (first || !this.growing) this.points = [];
        this.growing = true;
        this.points.push(...points);
        this.box.show(true);
        this.draw(names.length > 1 ? ["total", ...names] : names, steps, title);
    }

    // What a run sent at its end: all of the curve.
    show(whole, fresh) {
        if (!whole || (this.growing && !fresh)) return; // what is restored is of an earlier run
        this.add({ ...whole, first: true });
        this.growing = false;
    }

    draw(names, steps, title) {
        const last = this.points.at(-1);
        const lines = names.map((name, k) => this.line(name, k));
        const [total] = lines;
        const values = lines.map(({ name, colour }, k) => {
            const item = make("span");
            const dot = make("i");
            dot.style.background = colour;
            item.append(dot, `${short(last[k + 1])} ${name}`); // a long name may be cut off
            item.title = `${name}: ${last[k + 1]}`;
            return item;
        });
        const where = make("span", "tokenopt-loss-where");
        where.textContent = `${title ? `${title}, ` : ""}${last[0] + 1} of ${steps}`;
        this.head.replaceChildren(...values, where);
        const svg = document.createElementNS(SVG, "svg");
        svg.setAttribute("viewBox", "0 0 100 100");
        svg.setAttribute("preserveAspectRatio", "none");
        svg.append(...[0, 100].map((y) => path(`M0 ${y}H100`, "var(--border-color, #555)", 1)));
        svg.append(...lines.reverse().map((line) => line.path)); // the total lies on top
        const ticks = [["top: -4px", total.high], ["bottom: -4px", total.low]].map(([at, value]) => {
            const tick = make("div", "tokenopt-loss-tick");
            tick.style.cssText = at;
            tick.textContent = short(value);
            return tick;
        });
        this.plot.replaceChildren(svg, ...ticks);
        this.plot.title = lines.length > 1
            ? "The numbers at the left are the total's; each term has its own scale." : "";
        const words = values.map((item) => item.title).join(", ");
        this.element.setAttribute("aria-label", `Loss, ${where.textContent} steps: ${words}`);
    }

    // Each line fills the height, as terms differ in size by orders of magnitude, and the width, as
    // the start of a long run says most.
    line(name, k) {
        const known = this.points.filter((point) => point[k + 1] !== null);
        const values = known.map((point) => point[k + 1]);
        const low = Math.min(...values), high = Math.max(...values), span = high - low || 1;
        const places = known.map((point) => {
            const x = (100 * point[0]) / (this.points.at(-1)[0] || 1);
            return `${x.toFixed(2)} ${(98 - (96 * (point[k + 1] - low)) / span).toFixed(2)}`;
        });
        const colour = k ? COLOURS[(k - 1) % COLOURS.length] : "var(--input-text, #ddd)";
        // A point alone is drawn as a dot: a line of no length with round ends.
        const way = places.length ? `M${places.join("L")}${places.length > 1 ? "" : "h0"}` : "";
        return { name, colour, low, high, path: path(way, colour, k ? 1.2 : 2) };
    }
}

function path(way, colour, width) {
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("d", way);
    line.style.cssText = `stroke: ${colour}; stroke-width: ${width}px; stroke-linecap: round`;
    return line;
}

function make(tag, kind = "") {
    const element = document.createElement(tag);
    element.className = kind;
    return element;
}

function short(value) {
    if (!Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    if (size && (size < 0.001 || size >= 1e5)) return value.toExponential(1);
    return value.toFixed(size < 1 ? 4 : size < 100 ? 3 : 1);
}

function addStyle() {
    const style = document.createElement("style");
    style.textContent = CSS;
    document.head.append(style);
}

// At once, as the page's socket is open before a node is there, and before any setup(): a message
// that nobody listens to is an error of the page.
api.addEventListener("tokenopt.loss", ({ detail }) => {
    const node = findNode(detail.node);
    if (node) curves.get(node)?.add(detail);
});

app.registerExtension({
    name: "tokenopt.LossCurve",
    setup: addStyle,
    nodeCreated(node) {
        if (!NODES.includes(node.comfyClass)) return;
        const curve = new Curve(node);
        curves.set(node, curve);
        showOutputs(node, (output, fresh) => curve.show(output?.tokenopt_curve?.[0], fresh));
    },
});
