// The LoRAs that lie in the folder, each with what its file and loras.json tell.
const { h, put, bytes } = webbduck;
const cards = element.querySelector(".cards"), problem = element.querySelector(".problem");
const NAMES = { sdxl: "SDXL", sd1: "SD 1.5", sd2: "SD 2", sd3: "SD 3", flux: "FLUX", unknown: "unknown kind" };

webbduck.subscribe("catalog", (catalog) => {
  problem.textContent = catalog.problems.join(" ");
  put(cards, (catalog.loras.length ? catalog.loras.map((lora) =>
    h("article", { class: `card${lora.reason ? " unusable" : ""}` },
      h("h3", {}, lora.name),
      h("p", { class: "badges" }, h("span", {}, NAMES[lora.arch] ?? lora.arch), h("span", {}, lora.kind), h("span", {}, bytes(lora.size_bytes))),
      lora.description ? h("p", {}, lora.description) : null,
      lora.trigger ? h("p", { class: "trigger" }, "Trigger: ", h("b", {}, lora.trigger)) : null,
      h("p", { class: "muted" }, lora.reason ?? `Default weight ${lora.weight}`)))
    : [h("p", { class: "nothing" }, "No LoRAs yet. Put a .safetensors file into the lora folder; it appears here by itself.")]));
});
