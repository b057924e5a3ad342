import "./app.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { session } from "./lib/session.svelte";
import { sayInEnglish } from "./lib/validity";

sayInEnglish(document);
session.begin();
mount(App, { target: document.getElementById("app")! });
