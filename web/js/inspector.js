// The Token Inspector node (nodes/editing/inspect.py): puts its strips into the node and connects them with
// the node's widgets and neighbours. Nothing is set up before a page has such a node.
import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";
import { addBox, chain } from "./box.js";
import { addControls } from "./inspector_keys.js";
import { nextNodes } from "./inspector_links.js";
import { Strips } from "./inspector_strip.js";
import { addStyle } from "./inspector_style.js";
import { showOutputs } from "./outputs.js";

const WIDTH = 400, MOST_HEIGHT = 340;

let left = null; // the cell that had the focus until a moment ago

const widgetOf = (node, name) => node.widgets?.find((widget) => widget.name === name);
const isLinked = (node, name) =>
    node.inputs?.find((input) => input.widget?.name === name)?.link != null;

// One step of the page's undo, whatever was pressed or clicked.
function together(change) {
    app.canvas.emitBeforeChange();
    try {
        change();
    } finally {
        app.canvas.emitAfterChange(); // else the page would wait for it, and undo nothing more
    }
}

function write(node, name, value) {
    const widget = widgetOf(node, name);
    if (!widget || widget.value === value) return;
    together(() => {
        widget.value = value;
        widget.callback?.(value);
    });
    node.setDirtyCanvas(true, true);
}

// Nodes that the inspector's tokens go to, and that take positions in a widget of their own.
function takers(node) {
    if (node.outputs?.[1]?.links?.length) return []; // the user connects positions by hand
    return nextNodes(node, 0).filter(
        (taker) => widgetOf(taker, "positions") && !isLinked(taker, "positions"),
    );
}

// Options of the optimizers that the inspector's tokens go to.
function lockers(node) {
    const found = nextNodes(node, 0).map((next) => {
        const slot = next.inputs?.findIndex((input) => input.name === "options") ?? -1;
        return slot < 0 ? null : next.getInputNode(slot);
    });
    return [...new Set(found)].filter(
        (options) => options && widgetOf(options, "locked") && !isLinked(options, "locked"),
    );
}

function hostOf(node) {
    const host = {
        together,
        read: (name) => widgetOf(node, name)?.value ?? "",
        write: (name, text) => write(node, name, text),
        isLinked: (name) => isLinked(node, name),
        address: (file) => api.apiURL(`/view?${new URLSearchParams(file)}`),
        selected(positions) {
            const text = host.read("positions");
            const changed = positions.length ? takers(node) : [];
            for (const taker of changed) write(taker, "positions", text);
            if (changed.length)
                host.strips.say(`positions ${text}, set in ${changed.map((n) => n.title).join(", ")}`);
            host.offer(positions);
        },
        // What is selected is what to work on; to lock it instead is asked for.
        offer(positions) {
            const targets = positions.length ? lockers(node) : [];
            host.button.hidden = !targets.length;
            host.button.onclick = () => {
                for (const target of targets) write(target, "locked", host.read("positions"));
                host.strips.say(`locked in ${targets.map((n) => n.title).join(", ")}`);
            };
        },
    };
    return host;
}

function lockButton() {
    const button = document.createElement("button");
    Object.assign(button, { className: "tokenopt-button", textContent: "Lock these", hidden: true });
    button.title = "Write the selected positions into `locked` of the Token Optimizer Options.";
    button.addEventListener("pointerdown", (event) => event.stopPropagation());
    return button;
}

// An undo makes the node anew: who works by keys goes on where it has found them.
function refocus(node, strips) {
    if (left?.id !== node.id || performance.now() - left.since > 500) return;
    const { at } = left;
    setTimeout(() => {
        if (document.activeElement === document.body && strips.count) strips.focus(...at);
    }, 150);
}

function setUp(node) {
    addStyle();
    const host = hostOf(node);
    const strips = (host.strips = new Strips(host));
    host.button = lockButton();
    strips.foot.append(host.button);
    addControls(strips);
    const height = () => Math.min(strips.list.offsetHeight, MOST_HEIGHT) + 24;
    const box = addBox(node, "tokenopt_strips", strips.element, height, { fills: true });
    box.show(true);
    const sizes = new ResizeObserver(() => box.fit());
    sizes.observe(strips.list);
    chain(node, "onRemoved", () => sizes.disconnect());
    strips.element.addEventListener("focusout", () => {
        left = { id: node.id, at: strips.at, since: performance.now() };
    });
    for (const name of ["edits", "positions"]) {
        const widget = widgetOf(node, name);
        if (widget) chain(widget, "callback", () => strips.paint());
    }
    showOutputs(node, (output, fresh) => {
        strips.show(output);
        if (fresh) return;
        strips.paint();
        refocus(node, strips);
    });
    node.setSize([Math.max(node.size[0], WIDTH), node.size[1]]);
}

app.registerExtension({
    name: "tokenopt.Inspector",
    nodeCreated(node) {
        if (node.comfyClass === "TokenOpt_Inspect") setUp(node);
    },
});
