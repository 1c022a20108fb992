/**
 * Downloads that were cut off and can go on. A partial file is named `<key>.<pid>.part`: its process owns it, and once that process is gone the next
 * pull takes it over by renaming it, which only one of two pulls at once can do; the other starts its own.
 */
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";

/** Takes over the largest abandoned part of this key, or makes an empty one. Returns its path and the bytes it already has. */
export async function claimPartial(folder: string, key: string): Promise<{ path: string; size: number }> {
  await mkdir(folder, { recursive: true });
  const mine = join(folder, `${key}.${process.pid}.part`);
  const abandoned: { path: string; size: number }[] = [];
  for (const name of await readdir(folder)) {
    const found = /^(.*)\.(\d+)\.part$/.exec(name);
    if (found?.[1] !== key || (Number(found[2]) !== process.pid && isRunning(Number(found[2])))) continue;
    const info = await stat(join(folder, name)).catch(() => null);
    if (info) abandoned.push({ path: join(folder, name), size: info.size });
  }
  abandoned.sort((a, b) => b.size - a.size);
  for (const [index, part] of abandoned.entries()) {
    if (await rename(part.path, mine).then(() => true, () => false)) {
      for (const rest of abandoned.slice(index + 1)) await rm(rest.path, { force: true });
      return { path: mine, size: part.size };
    }
  }
  await open(mine, "w").then((handle) => handle.close());
  return { path: mine, size: 0 };
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EPERM";
  }
}
