// Texts at the edges of the text rule (contract, section 2).

const HORSE = '🐴';

/** One character of each of Unicode's 17 planes. */
const everyPlane = Array.from({ length: 17 }, (_, plane) => String.fromCodePoint(plane * 0x10000 + 0x1f40)).join('');

const control = Array.from({ length: 31 }, (_, i) => String.fromCharCode(i + 1)).join('');

/** [name, text] of what is kept to the byte. */
export const KEPT = [
  ['one character', 'a'],
  ['one astral character', HORSE],
  ['a digit that could be a number', '0'],
  ['a word that could be a literal', 'null'],
  ['accents, composed', 'caf\u00e9'],
  ['accents, combining', 'cafe\u0301 \u0301'],
  ['a pile of combining marks', `z${'\u0300\u0316\u0334'.repeat(50)}`],
  ['right to left', 'حصان للبيع \u202eabc\u202c סוס'],
  ['an emoji of many parts', '👩‍👩‍👧‍👦 🏇🏽 🇬🇧 ☝️'],
  ['every plane', everyPlane],
  ['the last code point, and noncharacters', '\u{10ffff}\ufffe\uffff\ufdd0'],
  ['the replacement character itself', '\ufffd'],
  ['byte order marks', '\ufeffa\ufeff'],
  ['control characters', `x${control}\u007f\u0080\u009f`],
  ['JSON’s own characters', '"\\/\b\f\n\r\t{}[],:\\u0000 \\ud800'],
  ['line and paragraph separators', 'a\u2028b\u2029c'],
  ['Engine.IO’s separator', 'a\x1eb\x1e40{}\x1e'],
  ['Socket.IO’s own look', '42["new_message",{"text":"x"}]'],
  ['white space around it', ' \t\n\u00a0 text \u3000\r\n '],
  ['only a zero width space', '\u200b'],
  ['SQL', `'; DROP TABLE messages; -- \\' $1 $$ E'\\x00' %s {} \${x}`],
  ['markup', '<script>alert(1)</script> &amp; %20'],
  ['2000 code points', 'x'.repeat(2000)],
  ['2000 astral code points', HORSE.repeat(2000)],
  ['2000 code points of three bytes', '馬'.repeat(2000)],
  ['2000 control characters', '\u0001'.repeat(2000)],
  ['1999 blanks and a letter', `${' '.repeat(1999)}x`],
];

const BLANKS = [
  '', ' ', '\t\n\v\f\r', '\u00a0', '\u1680', '\u2000\u2001\u2009\u200a', '\u2028\u2029', '\u202f', '\u205f\u3000',
];

/** [name, text] of what is refused; `undefined` stands for no field at all. */
export const REFUSED = [
  ['2001 code points', 'x'.repeat(2001)],
  ['2001 astral code points', HORSE.repeat(2001)],
  ['2001 code points, of which two are blanks around the rest', ` ${'x'.repeat(1999)} `],
  ['50000 code points', 'x'.repeat(50_000)],
  ['2000 blanks', ' '.repeat(2000)],
  ['NUL', '\0'],
  ['NUL inside', 'a\0b'],
  ['a high surrogate alone', 'a\ud83d'],
  ['a low surrogate alone', '\udc34b'],
  ['surrogates the wrong way round', '\udc34\ud83d'],
  ...BLANKS.map((blank) => [`blank ${JSON.stringify(blank)}`, blank]),
  ['absent', undefined],
  ['null', null],
  ['a number', 42],
  ['zero', 0],
  ['true', true],
  ['false', false],
  ['an array', ['text']],
  ['an empty array', []],
  ['an object', { text: 'text' }],
];

/** [name, text, preview]: a preview is the first 60 code points. */
export const PREVIEWS = [
  ['a short text', 'short', 'short'],
  ['60 letters', 'x'.repeat(60), 'x'.repeat(60)],
  ['61 letters', `${'x'.repeat(60)}y`, 'x'.repeat(60)],
  ['61 astral characters', HORSE.repeat(61), HORSE.repeat(60)],
  ['an astral character on the edge', `${'x'.repeat(59)}${HORSE}y`, `${'x'.repeat(59)}${HORSE}`],
  ['combining marks, cut in their middle', 'e\u0301'.repeat(31), 'e\u0301'.repeat(30)],
  ['white space kept', `  a\n${' '.repeat(80)}b`, `  a\n${' '.repeat(56)}`],
];
