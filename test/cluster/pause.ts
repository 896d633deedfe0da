/**
 * The program that holds a pod's namespaces: a static ELF executable assembled here, because it is forty bytes of
 * code and a compiler may not be installed. As process 1 of a pod it ignores every signal it has no handler for, so
 * SIGTERM must be taken explicitly.
 */

/** Processor names as Node has them. */
export type Architecture = 'x64' | 'arm64';

/** Where the segment is loaded; any page-aligned address above the unmapped first pages will do. */
const BASE_ADDRESS = 0x400000n;
const ELF_HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const CODE_OFFSET = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES;

/** e_machine of the ELF specification. */
const MACHINE: Record<Architecture, number> = { x64: 62, arm64: 183 };

/**
 * Waits for SIGTERM or SIGINT with rt_sigtimedwait, then exits with 0:
 *
 *     rt_sigprocmask(SIG_BLOCK, {SIGINT, SIGTERM}, NULL, 8); rt_sigaction(SIGCHLD, {SIG_IGN}, NULL, 8)
 *     do r = rt_sigtimedwait({SIGINT, SIGTERM}, NULL, NULL, 8) while (r < 0); exit(0)
 *
 * Ignoring SIGCHLD has the kernel reap what is left to process 1 when a pod shares its process namespace.
 */
const CODE: Record<Architecture, (setAddress: bigint, ignoreAddress: bigint) => Buffer> = {
  x64: buildX64,
  arm64: buildArm64,
};

/** Signal set {SIGINT (2), SIGTERM (15)}: bit n-1 stands for signal n. */
const SIGNAL_SET = (1n << 1n) | (1n << 14n);

const SIG_IGN = 1n;

/** The executable for one processor; the same bytes every time. */
export function buildPauseBinary(architecture: Architecture): Buffer {
  const codeBytes = CODE[architecture](0n, 0n).length;
  const setOffset = Math.ceil((CODE_OFFSET + codeBytes) / 8) * 8;
  const ignoreOffset = setOffset + 8;
  const code = CODE[architecture](BASE_ADDRESS + BigInt(setOffset), BASE_ADDRESS + BigInt(ignoreOffset));
  // struct sigaction of the kernel is four words: handler, flags, restorer or mask, mask.
  const file = Buffer.alloc(ignoreOffset + 4 * 8);
  elfHeader(architecture).copy(file, 0);
  programHeader(file.length).copy(file, ELF_HEADER_BYTES);
  code.copy(file, CODE_OFFSET);
  file.writeBigUInt64LE(SIGNAL_SET, setOffset);
  file.writeBigUInt64LE(SIG_IGN, ignoreOffset);
  return file;
}

function elfHeader(architecture: Architecture): Buffer {
  const header = Buffer.alloc(ELF_HEADER_BYTES);
  // Magic, 64 bit, little endian, version 1.
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(header);
  header.writeUInt16LE(2, 16); // e_type: executable
  header.writeUInt16LE(MACHINE[architecture], 18);
  header.writeUInt32LE(1, 20); // e_version
  header.writeBigUInt64LE(BASE_ADDRESS + BigInt(CODE_OFFSET), 24); // e_entry
  header.writeBigUInt64LE(BigInt(ELF_HEADER_BYTES), 32); // e_phoff
  header.writeUInt16LE(ELF_HEADER_BYTES, 52);
  header.writeUInt16LE(PROGRAM_HEADER_BYTES, 54);
  header.writeUInt16LE(1, 56); // e_phnum
  header.writeUInt16LE(64, 58); // e_shentsize; there are no sections
  return header;
}

/** The whole file is one readable and executable segment. */
function programHeader(fileBytes: number): Buffer {
  const header = Buffer.alloc(PROGRAM_HEADER_BYTES);
  header.writeUInt32LE(1, 0); // PT_LOAD
  header.writeUInt32LE(5, 4); // PF_R | PF_X
  header.writeBigUInt64LE(BASE_ADDRESS, 16);
  header.writeBigUInt64LE(BASE_ADDRESS, 24);
  header.writeBigUInt64LE(BigInt(fileBytes), 32);
  header.writeBigUInt64LE(BigInt(fileBytes), 40);
  header.writeBigUInt64LE(0x10000n, 48); // the largest page size of arm64
  return header;
}

/** System calls: rt_sigaction 13, rt_sigprocmask 14, rt_sigtimedwait 128, exit 60; number in eax. */
function buildX64(setAddress: bigint, ignoreAddress: bigint): Buffer {
  const set = int32(setAddress);
  const ignore = int32(ignoreAddress);
  const instructions = [
    '31ff', //             xor edi, edi         SIG_BLOCK = 0
    `be${set}`, //         mov esi, set
    '31d2', //             xor edx, edx
    '41ba08000000', //     mov r10d, 8
    'b80e000000 0f05', //  mov eax, 14; syscall
    'bf11000000', //       mov edi, 17          SIGCHLD
    `be${ignore}`, //      mov esi, ignore
    '31d2', //             xor edx, edx
    '41ba08000000', //     mov r10d, 8
    'b80d000000 0f05', //  mov eax, 13; syscall
    `bf${set}`, //   wait: mov edi, set
    '31f6', //             xor esi, esi
    '31d2', //             xor edx, edx
    '41ba08000000', //     mov r10d, 8
    'b880000000 0f05', //  mov eax, 128; syscall
    '85c0', //             test eax, eax
    '78e6', //             js wait              26 bytes back
    '31ff', //             xor edi, edi
    'b83c000000 0f05', //  mov eax, 60; syscall
  ];
  return Buffer.from(instructions.join('').replaceAll(' ', ''), 'hex');
}

/** System calls: rt_sigaction 134, rt_sigprocmask 135, rt_sigtimedwait 137, exit 93; number in x8. */
function buildArm64(setAddress: bigint, ignoreAddress: bigint): Buffer {
  const block = [movz(0, 0), ...loadAddress(1, setAddress), movz(2, 0), movz(3, 8), movz(8, 135), SVC];
  const ignore = [movz(0, 17), ...loadAddress(1, ignoreAddress), movz(2, 0), movz(3, 8), movz(8, 134), SVC];
  const wait = [...loadAddress(0, setAddress), movz(1, 0), movz(2, 0), movz(3, 8), movz(8, 137), SVC];
  const again = [branchIfNegative(0, -wait.length)];
  const exit = [movz(0, 0), movz(8, 93), SVC];
  const words = [...block, ...ignore, ...wait, ...again, ...exit];
  const code = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) code.writeUInt32LE(word >>> 0, index * 4);
  return code;
}

const SVC = 0xd4000001;

function movz(register: number, value: number): number {
  return 0xd2800000 | (value << 5) | register;
}

/** movz with the low half, movk (shifted by 16) with the high half. */
function loadAddress(register: number, address: bigint): number[] {
  const low = Number(address & 0xffffn);
  const high = Number((address >> 16n) & 0xffffn);
  return [movz(register, low), 0xf2a00000 | (high << 5) | register];
}

/** tbnz on bit 63; `offset` counts instructions. */
function branchIfNegative(register: number, offset: number): number {
  return 0xb7f80000 | ((offset & 0x3fff) << 5) | register;
}

/** Little-endian, as hexadecimal digits. */
function int32(address: bigint): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(Number(address));
  return bytes.toString('hex');
}
