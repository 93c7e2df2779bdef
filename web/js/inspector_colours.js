// The colour of a code: always the same one, wherever the code shows up. The hues are those of Okabe
// and Ito, which colour-blind people can tell apart, each in twelve lightnesses. With more codes than
// colours some share one; the number in the cell tells them apart.

const HUES = [
    [230, 159, 0], // orange
    [86, 180, 233], // sky
    [0, 158, 115], // green
    [240, 228, 66], // yellow
    [0, 114, 178], // blue
    [213, 94, 0], // vermilion
    [204, 121, 167], // purple
];
const SHADES = 12, DARKEST = -0.5, LIGHTEST = 0.6; // towards black, or white
const LIGHT = "#ffffff", DARK = "#000000";

// { paper, ink }: the cell's colour and a text colour that stands out from it.
export function colourOf(code) {
    const hash = scatter(code);
    const hue = HUES[hash % HUES.length];
    const step = (Math.floor(hash / HUES.length) % SHADES) / (SHADES - 1);
    return finish(mix(hue, DARKEST + step * (LIGHTEST - DARKEST)));
}

// A number as if by chance: neighbours in the codebook look unlike.
function scatter(code) {
    let hash = Math.imul(code + 1, 0x9e3779b1);
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
    return (hash ^ (hash >>> 13)) >>> 0;
}

// For a VAE: the larger the magnitude (0 to 1), the brighter.
export function greyOf(part) {
    const level = 45 + 190 * part;
    return finish([level, level, level * 0.97]);
}

function mix(colour, shade) {
    const target = shade > 0 ? 255 : 0;
    return colour.map((value) => value + (target - value) * Math.abs(shade));
}

function finish(colour) {
    const paper = `rgb(${colour.map(Math.round).join(" ")})`;
    const light = luminance(colour);
    const onLight = (light + 0.05) / 0.05;
    return { paper, ink: onLight > 1.05 / (light + 0.05) ? DARK : LIGHT };
}

// Relative luminance as WCAG 2 defines it.
function luminance(colour) {
    const [r, g, b] = colour.map((value) => {
        const part = value / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
