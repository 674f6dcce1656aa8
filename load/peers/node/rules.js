// What a caller may say: tokens, texts, pages.
import jwt from 'jsonwebtoken';
import { JWT_SECRET } from './config.js';
import { parseId } from './object_id.js';

const TEXT_LIMIT = 2000;
const PREVIEW_LENGTH = 60;

/** `{userId, role}` of a valid token, or null. */
export function verifyToken(token) {
  try {
    const { userId, role, exp } = jwt.verify(token, JWT_SECRET, { algorithms: ['HS256'] });
    const id = parseId(userId);
    return id === null || typeof exp !== 'number' ? null : { userId: id, role };
  } catch {
    return null;
  }
}

/** Why a text is refused, or null if it is not: 1 to 2000 code points, not all white space, no U+0000. */
export function refuseText(text) {
  if (typeof text !== 'string') return 'text must be a string';
  if (text.trim() === '') return 'text must not be empty';
  if (text.includes('\0')) return 'text must not contain U+0000';
  if (text.length > TEXT_LIMIT && codePoints(text) > TEXT_LIMIT) return `text must have at most ${TEXT_LIMIT} characters`;
  return null;
}

function codePoints(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** The first 60 code points. */
export function preview(text) {
  return text.length <= PREVIEW_LENGTH ? text : [...text.slice(0, 2 * PREVIEW_LENGTH)].slice(0, PREVIEW_LENGTH).join('');
}

/** `{page, limit}` of a query string; what is out of range is corrected, what is no number means the default. */
export function parsePage({ page, limit }) {
  const number = (value) => (/^\d+$/.test(value) ? Math.min(Number(value), 1e9) : 0);
  return { page: number(page) || 1, limit: Math.min(number(limit) || 30, 100) };
}
