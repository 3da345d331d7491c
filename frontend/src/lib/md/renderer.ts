/** What is loaded apart from the shell: parsing and sanitising. */

export { type Block, BlockStream } from './blocks';
export { sanitizeAnswer } from './sanitize';
