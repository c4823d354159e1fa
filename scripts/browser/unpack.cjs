// Unpacks the Chromium of the package @sparticuz/chromium into the folder given; see get-browser.sh.
"use strict";

const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const zlib = require("node:zlib");

const [source, target] = process.argv.slice(2);
fs.mkdirSync(target, { recursive: true });

for (const name of ["chromium", "al2023.tar", "fonts.tar", "swiftshader.tar"]) {
  const file = path.join(target, name);
  fs.writeFileSync(file, zlib.brotliDecompressSync(fs.readFileSync(path.join(source, `${name}.br`))));
  if (name.endsWith(".tar")) {
    execFileSync("tar", ["-xf", file, "-C", target]);
    fs.unlinkSync(file);
  }
}

// The package's own configuration names folders of a machine in the cloud.
const fonts = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
`;
fs.writeFileSync(path.join(target, "fonts.conf"), fonts);
fs.chmodSync(path.join(target, "chromium"), 0o755);
