/** Programs that the machine provides. */
import { accessSync, constants } from 'node:fs';
import path from 'node:path';

/** Where administrators' programs are although an ordinary PATH may not list it. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

/** The path of a program on PATH or in the system's own directories; undefined when it is not installed. */
export function lookUpTool(name: string): string | undefined {
  const directories = [...(process.env.PATH ?? '').split(path.delimiter), ...SYSTEM_DIRECTORIES];
  return directories
    .filter((directory) => directory !== '')
    .map((directory) => path.join(directory, name))
    .find(isExecutable);
}

/** The path of a program that must be there. Throws when it is not. */
export function findTool(name: string): string {
  const found = lookUpTool(name);
  if (found === undefined) throw new Error(`${name} is not installed (not found on PATH)`);
  return found;
}

/** True when this user may execute the file. */
export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
