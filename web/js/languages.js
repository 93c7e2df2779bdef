// The nodes in the page's language. Pages since ComfyUI 0.3.76 look locales/ up by themselves; the
// one before forgets what packs have when it loads a language other than English, so that the same
// texts are put where it then looks: into the nodes' own descriptions.
import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";

let languages = {}; // of all packs: language -> { nodeDefs: { node id: texts }, tokenopt: texts }

function own() {
    return languages[app.ui.settings.getSettingValue("Comfy.Locale")] ?? {};
}

const textsOf = (id) => (id?.startsWith("TokenOpt_") ? own().nodeDefs?.[id] : undefined);

/** What the pack's scripts say in English, in the page's language if it has words for it. */
export function inLanguage(text) {
    return own().tokenopt?.[text] ?? text;
}

function translate(definition) {
    const texts = textsOf(definition.name);
    if (!texts) return;
    definition.display_name = texts.display_name ?? definition.display_name;
    definition.description = texts.description ?? definition.description;
    for (const group of Object.values(definition.input ?? {})) {
        for (const [name, [, settings]] of Object.entries(group)) {
            const tooltip = texts.inputs?.[name]?.tooltip;
            if (settings && tooltip) settings.tooltip = tooltip;
        }
    }
    definition.output_tooltips = definition.output_tooltips?.map(
        (tooltip, number) => texts.outputs?.[number]?.tooltip ?? tooltip,
    );
}

function nameSlots(node) {
    const texts = textsOf(node.comfyClass);
    if (!texts) return;
    for (const slot of node.inputs ?? []) {
        slot.localized_name = texts.inputs?.[slot.name]?.name ?? slot.localized_name;
    }
    for (const [number, slot] of (node.outputs ?? []).entries()) {
        slot.localized_name = texts.outputs?.[number]?.name ?? slot.localized_name;
    }
    for (const widget of node.widgets ?? []) {
        widget.label = texts.inputs?.[widget.name]?.name ?? widget.label;
    }
}

app.registerExtension({
    name: "tokenopt.Languages",
    async init() {
        const answer = await api.fetchApi("/i18n").catch(() => null);
        if (answer?.ok) languages = await answer.json();
    },
    beforeRegisterVueAppNodeDefs(definitions) {
        for (const definition of Object.values(definitions)) translate(definition);
    },
    beforeRegisterNodeDef(_, definition) {
        translate(definition);
    },
    nodeCreated: nameSlots,
});
