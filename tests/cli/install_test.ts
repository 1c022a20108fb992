/** `install.sh` against a server on this machine. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { palimpsest, root, withFolder } from "./helpers.ts";

const program = (version: string) => `#!/bin/sh\necho ${version}\n`;
const sum = (text: string) => createHash("sha256").update(text).digest("hex");

/** Runs `use` with the address of a server of files. */
async function serving<T>(files: Record<string, string>, use: (address: string) => Promise<T>): Promise<T> {
  const server = createServer(({ url }, response) => {
    const text = files[(url ?? "").replace("/v1/", "")];
    response.writeHead(text === undefined ? 404 : 200).end(text ?? "nothing here");
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`);
  } finally {
    server.close();
  }
}

test("install.sh: the right file, checked, replaces the old one whole; all else leaves everything as it was", () =>
  withFolder(async (folder) => {
    const bin = join(folder, "bin"), tools = join(folder, "tools"), installed = join(bin, "palimpsest");
    mkdirSync(tools);
    const machine = (system: string, kind: string) =>
      writeFileSync(join(tools, "uname"), `#!/bin/sh\n[ "$1" = -s ] && echo ${system} || echo ${kind}\n`, {
        mode: 0o755,
      });
    // Debian without either: Python plays wget
    if (["curl", "wget"].every((name) => spawnSync(name, ["--version"]).error)) {
      const fetch = "import sys, urllib.request as u; open(sys.argv[1], 'wb').write(u.urlopen(sys.argv[2]).read())";
      const script = `#!/bin/sh\nexec python3 -c "${fetch}" "\${2#--output-document=}" "$3"\n`;
      writeFileSync(join(tools, "wget"), script, { mode: 0o755 });
    }
    const install = (release: string) =>
      palimpsest([join(root, "install.sh")], {
        program: "sh",
        env: { HOME: folder, PALIMPSEST_BIN: bin, PALIMPSEST_RELEASE: release, PATH: `${tools}:${process.env.PATH}` },
      });
    const [x64, arm64, mac] = ["linux-x64", "linux-arm64", "darwin-arm64"].map((name) => `palimpsest-${name}`);
    const sums = `${sum(program("1.0"))}  ${x64}\n${sum(program("2.0"))} *${arm64}\n${sum(program("3.0"))}  ${mac}\n`;
    const files: Record<string, string> = {
      SHA256SUMS: sums,
      [x64!]: program("1.0"),
      [arm64!]: program("2.0"),
      [mac!]: `${program("3.0")}# changed on the way\n`,
    };
    await serving(files, async (address) => {
      machine("Linux", "x86_64");
      const first = await install(address);
      assert.deepEqual([first.code, first.stdout], [0, ""], first.stderr);
      assert.match(first.stderr, /palimpsest 1\.0 is .*\/bin\/palimpsest\n.*is not on PATH/);
      assert.equal(statSync(installed).mode & 0o777, 0o755);
      machine("Linux", "aarch64");
      assert.equal((await install(`${address}/`)).code, 0);
      assert.equal(readFileSync(installed, "utf8"), program("2.0"));

      const refused = async (says: RegExp, release = address) => {
        const ended = await install(release);
        assert.equal(ended.code, 1);
        assert.match(ended.stderr, says);
        assert.equal(readFileSync(installed, "utf8"), program("2.0"));
        assert.deepEqual(readdirSync(bin), ["palimpsest"], "nothing is left behind");
      };
      machine("Darwin", "arm64");
      await refused(/palimpsest-darwin-arm64 has the checksum [0-9a-f]{64}, and SHA256SUMS names/);
      machine("Darwin", "x86_64");
      await refused(/There is no binary for Darwin x86_64/);
      machine("Linux", "x86_64");
      await refused(/PALIMPSEST_RELEASE is not set/, "");
      await refused(/Cannot fetch .*\/gone\/SHA256SUMS/, `${address}/gone`);
      files.SHA256SUMS = `${sum("x")}  ${x64}.sig\n`;
      await refused(/SHA256SUMS does not name palimpsest-linux-x64/);
      files[x64!] = "#!/bin/sh\nexit 1\n";
      files.SHA256SUMS = `${sum(files[x64!]!)}  ${x64}\n`;
      await refused(/does not run on this machine/);
    });
  }));
