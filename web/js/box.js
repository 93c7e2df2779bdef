// An element of ours inside a node, in the classic and in the new rendering alike. While hidden it
// takes no room. Both renderings read a widget's `hidden` at other places and times, so here the
// element itself collapses, which each of them sees.
import { app } from "/scripts/app.js";

const MARGIN = 6; // of the classic rendering, on all four sides

// `height`: a function that tells how many pixels the element needs at least while it is shown.
// `options.getValue`: for those who ask the widget what it shows.
export function addBox(node, name, element, height, options = {}) {
    const outer = document.createElement("div");
    outer.className = "tokenopt-box";
    outer.dataset.box = name;
    // Contained: long lines inside must not widen the node, which the new rendering would allow.
    outer.style.cssText = "width: 100%; contain: inline-size; display: none;";
    outer.append(element);
    const needed = () => (widget.hidden ? 0 : height() + 2 * MARGIN);
    const widget = node.addDOMWidget(name, "tokenopt_box", outer, {
        serialize: false, // not in prompts ...
        hideOnZoom: false,
        margin: MARGIN,
        getMinHeight: needed,
        getMaxHeight: options.fills ? undefined : needed,
        ...options,
    });
    widget.serialize = false; // ... nor in saved workflows
    widget.hidden = true;
    chain(node, "onAdded", () => setTimeout(() => settle(node, outer)));
    // The classic rendering stretches the element to the room that it reserves.
    outer.addEventListener("wheel", (event) => wheel(event, outer), { passive: false });
    outer.addEventListener("pointerdown", (event) => {
        if (event.button === 1 && !LiteGraph.vueNodesMode) app.canvas.processMouseDown(event);
    });

    function show(shown) {
        if (widget.hidden === !shown) return;
        widget.hidden = !shown;
        outer.style.display = shown ? "block" : "none";
        fit();
    }

    // The node never shrinks by this: a size that the user chose stays.
    function fit() {
        if (!LiteGraph.vueNodesMode) {
            const least = node.computeSize();
            if (node.size[1] < least[1]) node.setSize([node.size[0], least[1]]);
        }
        node.setDirtyCanvas(true, true);
    }

    return { widget, show, fit };
}

// An undo, or another tab, brings new nodes of the same ids, under which the new rendering goes on
// to show what the old ones have put there.
function settle(node, outer) {
    const place = `.lg-node[data-node-id="${node.id}"] [data-box="${outer.dataset.box}"]`;
    const old = document.querySelector(place);
    if (old && old !== outer) old.replaceWith(outer);
}

export function chain(object, name, more) {
    const original = object[name];
    object[name] = function (...given) {
        const answer = original?.apply(this, given);
        more.apply(this, given);
        return answer;
    };
}

// A wheel zooms the canvas, as it does over the rest of the node, unless it scrolls something here.
function wheel(event, outer) {
    for (let part = event.target; part && part !== outer.parentElement; part = part.parentElement) {
        const scrolls = part.scrollHeight > part.clientHeight + 1;
        if (scrolls && !event.ctrlKey && getComputedStyle(part).overflowY === "auto") {
            event.stopPropagation();
            return;
        }
    }
    if (LiteGraph.vueNodesMode) return; // the new rendering passes it on itself
    event.preventDefault();
    event.stopPropagation();
    app.canvas.processMouseWheel(event);
}
