{
  description = "Testferry: tests to schools without a network, results home";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "aarch64-darwin"
      ];
      each = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
    in
    {
      packages = each (pkgs: {
        default = pkgs.buildNpmPackage {
          pname = "testferry";
          version = "0.1.0";
          src = self;
          # Written by `nix run nixpkgs#prefetch-npm-deps package-lock.json` for each release.
          npmDepsHash = pkgs.lib.fakeHash;
          npmFlags = [ "--ignore-scripts" ];
          dontNpmBuild = true;
          nodejs = pkgs.nodejs_24;
          nativeBuildInputs = [ pkgs.makeWrapper ];
          # The npm package "node" brings its binary by a script; here the one of nixpkgs serves.
          postInstall = ''
            rm -rf $out/lib/node_modules/testferry/node_modules/node
            wrapProgram $out/bin/testferry --prefix PATH : ${pkgs.nodejs_24}/bin
          '';
        };
      });

      devShells = each (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.nodejs_24
            pkgs.postgresql
            pkgs.sqlite
            pkgs.openssh
            pkgs.age
            pkgs.unzip
          ];
        };
      });
    };
}
