// The page's address, which names the open conversation.

const NAMED = /^#c\/([0-9a-f]{24})$/;

/** The conversation that the address names, or null. */
export const conversationOfAddress = () => NAMED.exec(location.hash)?.[1] ?? null;

/** The address of a conversation. */
export const addressOf = (id) => `#c/${id}`;
