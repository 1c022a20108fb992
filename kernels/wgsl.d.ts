/** Shaders are imported as text: `import source from "./x.wgsl" with { type: "text" }`. */
declare module "*.wgsl" {
  const source: string;
  export default source;
}
