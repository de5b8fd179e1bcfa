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

      # The run-time packages of package-lock.json. A release writes their hash here: the first
      # `nix build` says which it is.
      modules =
        pkgs:
        pkgs.stdenvNoCC.mkDerivation {
          name = "testferry-node-modules";
          src = self;
          nativeBuildInputs = [
            pkgs.nodejs_24
            pkgs.cacert
          ];
          buildPhase = "HOME=$TMPDIR npm install --omit=dev --ignore-scripts --no-audit --no-fund";
          # nixpkgs brings Node itself; the npm package of that name would bring it once more.
          installPhase = "rm -rf node_modules/node && cp -r node_modules $out";
          dontFixup = true;
          outputHashMode = "recursive";
          outputHashAlgo = "sha256";
          outputHash = pkgs.lib.fakeHash;
        };
    in
    {
      packages = each (pkgs: {
        default = pkgs.stdenvNoCC.mkDerivation {
          pname = "testferry";
          version = "0.1.0";
          src = self;
          nativeBuildInputs = [ pkgs.makeWrapper ];
          installPhase = ''
            mkdir -p $out/lib/testferry $out/bin
            cp -r domain application infrastructure entrypoints package.json $out/lib/testferry/
            ln -s ${modules pkgs} $out/lib/testferry/node_modules
            makeWrapper ${pkgs.nodejs_24}/bin/node $out/bin/testferry \
              --add-flags "--no-warnings $out/lib/testferry/entrypoints/cli.ts"
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
