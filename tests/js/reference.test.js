// The checks that all tests make against the AsyncAPI document notice what is wrong.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { assertAckDocumented, assertDocumented, events } from './support/reference.js';
import { serverForFile } from './support/server.js';

const server = await serverForFile();
const id = '507f1f77bcf86cd799439010';
const typist = { userId: id, conversation_id: id };

describe('the AsyncAPI document', () => {
  test('is what the server serves', async () => {
    const served = await (await fetch(`${server.url}/api/chat/asyncapi.json`)).json();
    assert.deepEqual(events('send').sort(), Object.keys(served.operations).filter((name) => served.operations[name].action === 'send').sort());
  });

  test('is broken by any field that is wrong, missing or not described', () => {
    assertDocumented('user_typing', typist);
    for (const wrong of [{ ...typist, userId: 'x' }, { userId: id }, { ...typist, more: 1 }, null, 'x', [typist]]) {
      assert.throws(() => assertDocumented('user_typing', wrong), /not as documented/);
    }
    assert.throws(() => assertDocumented('no_such_event', typist), /not in the AsyncAPI document/);
  });

  test('is broken by an acknowledgement that is neither success nor failure', () => {
    assertAckDocumented('typing', { success: true });
    assertAckDocumented('typing', { success: false, message: 'Conversation not found', code: 'NOT_FOUND' });
    assertAckDocumented('join_conversation', { success: true, data: { conversation_id: id } });
    for (const wrong of [{ success: false }, { success: true, data: {} }, { success: false, message: 'x', code: 'X' }, {}]) {
      assert.throws(() => assertAckDocumented('typing', wrong), /not as documented/);
    }
  });
});
