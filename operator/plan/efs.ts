/** Names of EFS file systems, as volumes carry them. */

/** Of the CSI driver for EFS and S3 Files. */
export const EFS_DRIVER = 'efs.csi.aws.com';

const FILE_SYSTEM = /^fs-[0-9a-f]{8,40}$/;
const ACCESS_POINT = /^fsap-[0-9a-f]{8,40}$/;
const KINDS: ReadonlySet<string> = new Set(['efs', 's3files']);

/** What a volume handle should look like. */
export const HANDLE_GRAMMAR =
  'fs-ID, fs-ID:/PATH, fs-ID::fsap-ID or fs-ID:/PATH:fsap-ID, the IDs hexadecimal';

/** What is wrong with a `volumeHandle` of the EFS driver; undefined: nothing. Versions 1 to 3 of the driver are known. */
export function handleProblem(handle: string): string | undefined {
  const fields = handle.split(':');
  // Since version 3 the kind of the file system may stand in front.
  const [fileSystem = '', , accessPoint = '', ...rest] = KINDS.has(fields[0] ?? '')
    ? fields.slice(1)
    : fields;
  if (!FILE_SYSTEM.test(fileSystem)) return `"${fileSystem}" is no file system ID`;
  if (accessPoint !== '' && !ACCESS_POINT.test(accessPoint)) return `"${accessPoint}" is no access point ID`;
  return rest.length > 0 ? 'it has too many fields' : undefined;
}

/**
 * The file system of an NFS server that is an EFS mount target (`fs-….efs.REGION.amazonaws.com`, also with a zone in
 * front); undefined for any other server.
 */
export function fileSystemOf(server: string): string | undefined {
  const name = /^(?:[\w-]+\.)?(fs-[0-9a-f]+)\.efs\.[\w-]+\.amazonaws\.(?:com|com\.cn|eu)\.?$/i.exec(server);
  return name?.[1];
}
