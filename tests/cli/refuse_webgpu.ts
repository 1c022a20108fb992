/** For `bun --preload`: a machine on which the package bun-webgpu cannot be opened, and which says when somebody tries. */
import { plugin } from "bun";

plugin({
  name: "no bun-webgpu",
  setup(build) {
    build.onResolve({ filter: /^bun-webgpu/ }, () => {
      console.error("bun-webgpu was asked for"); // what the package makes of the error, it says in its own words
      throw new Error("not here");
    });
  },
});
