import type { Case } from '../case.ts';
import { accepted } from '../stage.ts';

const MIB = 1_048_576;
/** Tab, line feed, carriage return, and the first and last characters of XML's ranges below U+10000. */
const ODD_TEXT = '\t\n\r \u{D7FF}\u{E000}\u{FFFD} "quoted" <tag> $(NAME) é 漢';
/** Characters above U+FFFF, which are two in JavaScript's and Java's strings. */
const HIGH_TEXT = '\u{10000}\u{10FFFD} 👩‍👩‍👧';
const TRACE = 'Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1';

export const CONTENTS: readonly Case[] = [
  {
    name: 'a body arrives as it was sent',
    aws: ODD_TEXT,
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, ODD_TEXT);
      return (await stage.take(queue)).body;
    },
  },
  {
    name: 'a body with characters above U+FFFF arrives as it was sent',
    aws: HIGH_TEXT,
    observe: async (stage) => {
      const queue = await stage.queue();
      const sent = await accepted(stage.send(queue, HIGH_TEXT));
      return sent === 'accepted' ? (await stage.take(queue)).body : sent;
    },
  },
  {
    name: 'a message of one mebibyte arrives whole',
    aws: true,
    observe: async (stage) => {
      const queue = await stage.queue();
      const body = `${'0123456789abcdef'.repeat(MIB / 16 - 1)}fedcba9876543210`;
      await stage.send(queue, body);
      return (await stage.take(queue)).body === body;
    },
  },
  {
    name: 'a message above one mebibyte is refused, its attributes counted',
    needs: ['limits'],
    aws: { body: 'refused', attributes: 'refused' },
    observe: async (stage) => {
      const queue = await stage.queue();
      const body = await accepted(stage.send(queue, 'x'.repeat(MIB + 1)));
      const messageAttributes = { a: { dataType: 'String', stringValue: 'x' } };
      const message = { body: 'x'.repeat(MIB), messageAttributes };
      return { body, attributes: await accepted(stage.send(queue, message)) };
    },
  },
  {
    name: 'an empty body and a control character are refused',
    needs: ['limits'],
    aws: { empty: 'refused', control: 'refused' },
    observe: async (stage) => {
      const queue = await stage.queue();
      const empty = await accepted(stage.send(queue, ''));
      return { empty, control: await accepted(stage.send(queue, 'a\u0001b')) };
    },
  },
  {
    name: 'message attributes arrive with their types, binary ones as base64',
    needs: ['attributes'],
    aws: {
      text: { dataType: 'String', stringValue: 'wörds' },
      number: { dataType: 'Number', stringValue: '-1.5' },
      custom: { dataType: 'String.json', stringValue: '{}' },
      binary: { dataType: 'Binary', binaryValue: 'AP8Q' },
    },
    observe: async (stage) => {
      const queue = await stage.queue();
      const messageAttributes = {
        text: { dataType: 'String', stringValue: 'wörds' },
        number: { dataType: 'Number', stringValue: '-1.5' },
        custom: { dataType: 'String.json', stringValue: '{}' },
        binary: { dataType: 'Binary', binaryValue: 'AP8Q' },
      };
      await stage.send(queue, { body: 'body', messageAttributes });
      return (await stage.take(queue)).messageAttributes;
    },
  },
  {
    name: 'every message tells who sent it and when, and how often and when it was first received',
    needs: ['attributes'],
    aws: {
      names: ['ApproximateFirstReceiveTimestamp', 'ApproximateReceiveCount', 'SenderId', 'SentTimestamp'],
      sentInTime: true,
    },
    observe: async (stage) => {
      const queue = await stage.queue();
      const beforeMs = stage.subject.clock.now();
      await stage.send(queue, 'body');
      const { attributes, sentAtMs, receivedAtMs, arrivedAtMs } = await stage.take(queue);
      const names = Object.keys(attributes).toSorted((a, b) => a.localeCompare(b));
      const isInOrder = receivedAtMs <= arrivedAtMs && Math.abs(sentAtMs - beforeMs) < 10_000;
      return { names, sentInTime: isInOrder };
    },
  },
  {
    name: 'the trace header of a message arrives',
    needs: ['attributes'],
    aws: TRACE,
    observe: async (stage) => {
      const queue = await stage.queue();
      await stage.send(queue, { body: 'body', traceHeader: TRACE });
      return (await stage.take(queue)).attributes['AWSTraceHeader'];
    },
  },
  {
    name: 'the message group of a message in a standard queue arrives, and locks nothing',
    needs: ['attributes'],
    aws: ['blue', 'blue'],
    observe: async (stage) => {
      const queue = await stage.queue();
      for (const body of ['1', '2']) await stage.send(queue, { body, groupId: 'blue' });
      const messages = await stage.gather(queue, 2);
      return messages.map(({ attributes }) => attributes['MessageGroupId']);
    },
  },
];
