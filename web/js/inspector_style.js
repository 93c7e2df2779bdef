// The Token Inspector's looks, put into the page with its first node.

const CSS = `
.tokenopt-inspector { display: flex; flex-direction: column; gap: 4px; height: 100%; box-sizing: border-box;
    font: 11px/1.2 Inter, system-ui, sans-serif; color: var(--input-text, #ddd);
    user-select: none; text-align: left; }
.tokenopt-scroll { flex: 1 1 auto; min-height: 0; overflow-y: auto; scrollbar-width: thin;
    border-radius: 8px; }
.tokenopt-scroll.tokenopt-over { outline: 2px solid var(--input-text, #ddd); outline-offset: -2px; }
.lg-node .tokenopt-scroll { max-height: 340px; }
.tokenopt-list { display: flex; flex-direction: column; gap: 8px; padding: 3px; }
.tokenopt-list:empty { display: none; }
.tokenopt-image { display: flex; gap: 8px; align-items: flex-start; }
.tokenopt-thumbnail { flex: none; width: 84px; height: 84px; border-radius: 6px; object-fit: cover;
    background: rgb(0 0 0 / .25); }
.tokenopt-frame { flex: 1; min-width: 0; container-type: inline-size; }
.tokenopt-strip { display: grid; gap: 3px; grid-template-columns: repeat(4, minmax(0, 1fr)); }
@container (min-width: 220px) { .tokenopt-strip { grid-template-columns: repeat(8, minmax(0, 1fr)); } }
@container (min-width: 500px) { .tokenopt-strip { grid-template-columns: repeat(16, minmax(0, 1fr)); } }
@container (min-width: 1000px) { .tokenopt-strip { grid-template-columns: repeat(32, minmax(0, 1fr)); } }
.tokenopt-cell { position: relative; height: 40px; border-radius: 5px; box-sizing: border-box;
    display: flex; align-items: flex-end; justify-content: center; padding-bottom: 7px;
    background: var(--paper); color: var(--ink); cursor: grab; touch-action: none;
    font-variant-numeric: tabular-nums; outline: 0 solid transparent; outline-offset: 1px;
    container-type: inline-size; }
.tokenopt-position { position: absolute; top: 3px; left: 4px; font-size: 8.5px; line-height: 1;
    opacity: .75; }
.tokenopt-code { font-size: 12px; font-weight: 600; line-height: 1.1; }
@container (max-width: 30px) { .tokenopt-code { font-size: 9.5px; } }
.tokenopt-cell[aria-selected=true] { outline: 2px solid var(--input-text, #fff);
    box-shadow: inset 0 0 0 1.5px var(--tokenopt-back, #16181c); }
.tokenopt-cell:focus-visible { outline: 2px dashed var(--input-text, #fff); outline-offset: 1px; }
.tokenopt-cell[aria-selected=true]:focus-visible { outline-width: 3px; outline-style: double; }
.tokenopt-cell.tokenopt-over { outline: 3px solid var(--input-text, #fff); z-index: 1; }
.tokenopt-cell.tokenopt-changed::before { content: ""; position: absolute; top: 0; right: 0;
    border: 6px solid; border-color: var(--ink) var(--ink) transparent transparent;
    border-top-right-radius: 5px; }
.tokenopt-cell.tokenopt-edited::after { content: ""; position: absolute; left: 5px; right: 5px; bottom: 3px;
    height: 2.5px; border-radius: 2px; background: var(--ink); }
.tokenopt-cell.tokenopt-pending::after { background: repeating-linear-gradient(90deg, var(--ink) 0 4px,
    transparent 4px 7px); }
.tokenopt-pending .tokenopt-code { font-style: italic; }
.tokenopt-dense .tokenopt-strip { gap: 2px; grid-template-columns: repeat(16, minmax(0, 1fr)); }
.tokenopt-dense .tokenopt-cell { height: 18px; padding: 0; border-radius: 3px; }
.tokenopt-dense .tokenopt-code, .tokenopt-dense .tokenopt-position { display: none; }
.tokenopt-dense .tokenopt-cell.tokenopt-changed::before { border-width: 4px; }
.tokenopt-dense .tokenopt-cell.tokenopt-edited::after { bottom: 2px; left: 3px; right: 3px; height: 2px; }
.tokenopt-field { position: absolute; inset: 0; min-width: 44px; box-sizing: border-box; border: 0;
    border-radius: 5px; padding: 0 2px; text-align: center; font: 600 12px/1 Inter, sans-serif;
    background: #fff; color: #111; outline: 2px solid #0072b2; z-index: 2; user-select: text; }
.tokenopt-field[aria-invalid=true] { outline: 3px solid #d55e00; text-decoration: underline wavy; }
.tokenopt-foot { flex: none; display: flex; gap: 8px; align-items: center; min-height: 20px; }
.tokenopt-status { flex: 1; min-width: 0; padding-left: 4px; color: var(--descrip-text, #999);
    white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.tokenopt-button { flex: none; border: 1px solid var(--border-color, #555); border-radius: 6px;
    padding: 2px 8px; font: inherit; cursor: pointer; color: var(--input-text, #ddd);
    background: var(--comfy-input-bg, #222); }
.tokenopt-button:focus-visible { outline: 2px dashed currentcolor; }
.tokenopt-ghost { position: fixed; left: 8px; top: 8px; z-index: 100000; pointer-events: none;
    padding: 5px 8px; border-radius: 5px; font: 600 12px/1 Inter, system-ui, sans-serif;
    background: var(--paper); color: var(--ink); box-shadow: 0 2px 8px rgb(0 0 0 / .5); }
`;

export function addStyle() {
    if (document.getElementById("tokenopt-inspector-style")) return;
    const style = document.createElement("style");
    style.id = "tokenopt-inspector-style";
    style.textContent = CSS;
    document.head.append(style);
}
