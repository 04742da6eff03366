/** Text made safe for HTML. */
import { replaceEach } from './bounded-text.js';

/** HTML's special characters. */
export const HTML_ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text for an element or for a quoted attribute. */
export function escapeHtml(text: string): string {
  return replaceEach(text, /[&<>"']/g, (character) => HTML_ENTITIES[character] as string);
}
