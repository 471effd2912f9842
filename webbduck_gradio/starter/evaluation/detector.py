FILE = "webbduck-starter-detector.safetensors"
