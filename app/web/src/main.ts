import "./app.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { session } from "./lib/session.svelte";

session.begin();
mount(App, { target: document.getElementById("app")! });
