/** What is used of the WebAssembly API, which only the DOM's types describe. */
declare namespace WebAssembly {
  /** Compiled code. Nothing is asked of it. */
  const Module: new (bytes: Uint8Array) => object;

  class Memory {
    readonly buffer: ArrayBuffer;
    /** Both in pages of 64 KiB. Throws a RangeError when there is no room for it. */
    constructor(limits: { readonly initial: number; readonly maximum: number });
  }

  /** Whoever names `Exports` knows what the module exports. */
  class Instance<Exports> {
    readonly exports: Exports;
    constructor(module: object, imports: Readonly<Record<string, object>>);
  }

  interface Global {
    readonly value: number;
  }
}
