import { existsSync, readFileSync } from 'node:fs';

/** Of the header in the first page (SQLite, "Database File Format", 1.3). */
const USER_VERSION_AT = 60;
/** Of a log and of each of its pages (the same, 4.1). */
const LOG_HEADER = { size: 32, pageSizeAt: 8, saltsAt: 16 };
const FRAME_HEADER = { size: 24, pageAt: 0, committedAt: 4, saltsAt: 8 };
const SALTS = 8;

/** The `user_version` of a file as its next reader will find it: read from the bytes, as to open it would change them. */
export function userVersionOf(path: string): number {
  const log = existsSync(`${path}-wal`) ? readFileSync(`${path}-wal`) : Buffer.alloc(0);
  let version = readFileSync(path).readUInt32BE(USER_VERSION_AT);
  if (log.length < LOG_HEADER.size) return version;
  const pageSize = log.readUInt32BE(LOG_HEADER.pageSizeAt);
  const salts = log.subarray(LOG_HEADER.saltsAt, LOG_HEADER.saltsAt + SALTS);
  let written = version;
  for (
    let at = LOG_HEADER.size;
    at + FRAME_HEADER.size + pageSize <= log.length;
    at += FRAME_HEADER.size + pageSize
  ) {
    // From here on it is what an earlier log has left.
    if (!log.subarray(at + FRAME_HEADER.saltsAt, at + FRAME_HEADER.saltsAt + SALTS).equals(salts)) break;
    if (log.readUInt32BE(at + FRAME_HEADER.pageAt) === 1)
      written = log.readUInt32BE(at + FRAME_HEADER.size + USER_VERSION_AT);
    if (log.readUInt32BE(at + FRAME_HEADER.committedAt) > 0) version = written;
  }
  return version;
}
