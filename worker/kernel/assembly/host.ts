/** What the host does for the kernel, in rare rows: see `../byte-kernel.ts`. */

/** Writes a finite number at an address as `String()` does; returns where it ends. */
export declare function writeNumberByHost(number: f64, at: i32): i32;

/** Reads the decimal number between two addresses as `Number()` does. */
export declare function readNumberByHost(from: i32, to: i32): f64;
