// The colour of a code: always the same one, wherever the code shows up. The hues are those of Okabe
// and Ito, which colour-blind people can tell apart, each in four lightnesses. With more codes than
// colours two codes may share one; the number in the cell tells them apart.

const HUES = [
    [230, 159, 0], // orange
    [86, 180, 233], // sky
    [0, 158, 115], // green
    [240, 228, 66], // yellow
    [0, 114, 178], // blue
    [213, 94, 0], // vermilion
    [204, 121, 167], // purple
];
const SHADES = [0.5, 0.2, -0.15, -0.42]; // towards white, or black
const LIGHT = "#ffffff", DARK = "#16181c";

// { paper, ink }: the cell's colour and a text colour that stands out from it.
export function colourOf(code) {
    const hash = Math.imul(code + 1, 2654435761) >>> 0; // neighbours in the codebook look unlike
    const hue = HUES[Math.floor((hash / 2 ** 32) * HUES.length)];
    return finish(mix(hue, SHADES[(hash >>> 13) % SHADES.length]));
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
    const onLight = (light + 0.05) / (luminance([22, 24, 28]) + 0.05);
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
