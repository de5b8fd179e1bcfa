/** Checks the flake as far as this machine can: by Nix itself where it is, by its brackets where not. */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import path from "node:path"
import { assert, describe, it } from "@effect/vitest"

const FLAKE = path.resolve(import.meta.dirname, "../flake.nix")
const nix = (...args: ReadonlyArray<string>) =>
  spawnSync("nix-instantiate", args, { encoding: "utf8", timeout: 30_000 })
const hasNix = nix("--version").status === 0

/** Stands in for nixpkgs, which the network would have to bring: names what a package is made from. */
const STUB = `
  let
    pkgs = {
      lib.fakeHash = "sha256-AAAA";
      stdenvNoCC.mkDerivation = set: set // { outPath = "/nix/store/stub"; };
      mkShell = set: set;
      makeWrapper = "makeWrapper"; nodejs_24 = "node"; cacert = "cacert"; postgresql = "postgresql";
      sqlite = "sqlite"; openssh = "openssh"; age = "age"; unzip = "unzip";
    };
    nixpkgs = {
      lib.genAttrs = names: f: builtins.listToAttrs (map (name: { inherit name; value = f name; }) names);
      legacyPackages = { "x86_64-linux" = pkgs; "aarch64-linux" = pkgs; "aarch64-darwin" = pkgs; };
    };
    outputs = (import ${FLAKE}).outputs { self = ./.; inherit nixpkgs; };
  in [
    outputs.packages.x86_64-linux.default.installPhase
    outputs.devShells.aarch64-darwin.default.packages
  ]`

describe("flake.nix", () => {
  it("evaluates to a package and a development shell, or at least closes every bracket", () => {
    if (hasNix) {
      const { status, stderr, stdout } = nix("--eval", "--strict", "--expr", STUB)
      assert.strictEqual(status, 0, stderr)
      assert.include(stdout, "entrypoints/cli.ts")
      assert.include(stdout, "postgresql")
      return
    }
    const text = readFileSync(FLAKE, "utf8")
      .replace(/''[\s\S]*?''/gu, "")
      .replace(/"[^"]*"|#.*$/gmu, "")
    const open: Array<string> = []
    const pairs: Readonly<Record<string, string>> = { "}": "{", "]": "[", ")": "(" }
    for (const character of text) {
      if ("{[(".includes(character)) open.push(character)
      const opening = pairs[character]
      if (opening !== undefined) assert.strictEqual(open.pop(), opening)
    }
    assert.deepStrictEqual(open, [])
  })
})
