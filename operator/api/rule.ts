/** One rule about a BatchQueue: its CEL text for the CRD and its check for code, side by side. */

import { fieldOf } from './json.ts';

export interface Rule {
  /** Where the rule stands: a path of fields, `[]` for every element of a list, `''` for the whole object. */
  readonly at: string;
  /** The field below `at` that is to blame, when it is not the value itself. */
  readonly field?: string;
  /** True when the rule holds; `self` is the value at `at`. Evaluated by the API server only when that value is there. */
  readonly cel: string;
  /** What is allowed, with field names in back-quotes. Shown as it is by the API server and by the operator. */
  readonly message: string;
  /** How the API server words the refusal; `FieldValueInvalid` unless said. */
  readonly reason?: 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired';
  /** The same as `cel`, for code. May say anything about values of a wrong type, which the schema refuses. */
  readonly holds: (self: unknown) => boolean;
}

/** The string at `at` must match a pattern of the dialect that JavaScript and RE2 share. */
export function mustMatch(at: string, pattern: string, message: string): Rule {
  const expression = new RegExp(pattern);
  return {
    at,
    cel: `self.matches(${celString(pattern)})`,
    message,
    holds: (self) => typeof self !== 'string' || expression.test(self),
  };
}

/** The string at `at` must not match a pattern of the dialect that JavaScript and RE2 share. */
export function mustNotMatch(at: string, pattern: string, message: string): Rule {
  const expression = new RegExp(pattern);
  return {
    at,
    cel: `!self.matches(${celString(pattern)})`,
    message,
    holds: (self) => typeof self !== 'string' || !expression.test(self),
  };
}

/** The string at `at` must not start with a prefix. Costs the API server far less than a pattern. */
export function mustNotStartWith(at: string, prefix: string, message: string): Rule {
  return {
    at,
    cel: `!self.startsWith(${celString(prefix)})`,
    message,
    holds: (self) => typeof self !== 'string' || !self.startsWith(prefix),
  };
}

/** `field` of the object at `at` must not be set at all. */
export function mustNotBeSet(at: string, field: string, message: string): Rule {
  return {
    at,
    field,
    cel: `!has(self.${field})`,
    message,
    reason: 'FieldValueForbidden',
    holds: (self) => fieldOf(self, field) === undefined,
  };
}

/** `field` of the object at `at` must be unset or have the one value given. */
export function mustBeIfSet(at: string, field: string, value: string | number, message: string): Rule {
  const literal = typeof value === 'string' ? celString(value) : String(value);
  return {
    at,
    field,
    cel: `!has(self.${field}) || self.${field} == ${literal}`,
    message,
    holds: (self) => {
      const found = fieldOf(self, field);
      return found === undefined || found === value;
    },
  };
}

/** A CEL string literal. */
function celString(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
