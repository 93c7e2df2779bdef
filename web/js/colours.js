// Colours of the pack's own types of link, in both renderings of the nodes: akin to those of the
// ComfyUI types that they are to this pack what the others are to diffusion models. A palette of
// the user's that names one of these types has the last word.
import { app } from "/scripts/app.js";

const COLOURS = {
    TOKENOPT_TOKENIZER: "#ff8a65", // as VAE: red
    TOKENOPT_GUIDE: "#f2cf3b", // as CLIP: yellow
    TOKENOPT_TOKENS: "#f06fc4", // as LATENT: pink
    TOKENOPT_LOSS: "#ff9f45", // as CONDITIONING: orange
    TOKENOPT_OPTIONS: "#9fa8da",
    TOKENOPT_ATTRIBUTE: "#4db6ac",
    TOKENOPT_FIT: "#a1887f",
};

// Every palette that is loaded writes an empty text for the types that it does not know.
function register(colours) {
    for (const [type, own] of Object.entries(COLOURS)) {
        let chosen = colours[type];
        Object.defineProperty(colours, type, {
            get: () => chosen || own,
            set: (colour) => { chosen = colour; },
            configurable: true,
            enumerable: true,
        });
    }
}

// Nodes that are drawn by Vue take theirs from variables, which a palette sets on an element's own
// style, or removes there: then this sheet counts.
function addSheet() {
    const sheet = document.createElement("style");
    const lines = Object.entries(COLOURS).map(([type, own]) => `--color-datatype-${type}: ${own};`);
    sheet.textContent = `:root { ${lines.join(" ")} }`;
    document.head.append(sheet);
}

app.registerExtension({
    name: "tokenopt.Colours",
    setup() {
        register(app.canvas.constructor.link_type_colors);
        register(app.canvas.default_connection_color_byType);
        addSheet();
        app.canvas.setDirty(true, true);
    },
});
