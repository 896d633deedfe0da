import { describe, expect, test } from '@jest/globals';
import { parseArguments } from '../../cluster/arguments.ts';

describe('arguments of the cluster command', () => {
  test.each([
    [['up'], { kind: 'up', size: 'node' }],
    [['up', '--size', 'control-plane'], { kind: 'up', size: 'control-plane' }],
    [['up', '--size=node'], { kind: 'up', size: 'node' }],
    [['down'], { kind: 'down', which: 'only' }],
    [['down', '--all'], { kind: 'down', which: 'all' }],
    [['down', 'bq3'], { kind: 'down', which: { name: 'bq3' } }],
    [['status'], { kind: 'status' }],
    [['--help'], { kind: 'help' }],
  ])('understands %j', (args, expected) => {
    expect(parseArguments(args, true)).toEqual(expected);
  });

  test('without root the default size is the one that needs none', () => {
    expect(parseArguments(['up'], false)).toEqual({ kind: 'up', size: 'control-plane' });
  });

  test.each([
    [[], 'say up, down or status'],
    [['start'], 'there is no command start'],
    [['up', '--size'], 'got nothing'],
    [['up', '--size', 'large'], 'got large'],
    [['up', 'node'], 'up takes no node'],
    [['up', '--size', 'node', 'more'], 'up takes no more'],
    [['down', '--every'], 'down takes no --every'],
    [['down', 'bq0', 'bq1'], 'down takes one name'],
    [['status', 'bq0'], 'status takes no bq0'],
  ])('says what is wrong with %j', (args, problem) => {
    expect(parseArguments(args, true)).toEqual({
      kind: 'mistake',
      problem: expect.stringContaining(problem),
    });
  });
});
