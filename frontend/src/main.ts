import { mount } from 'svelte';
import App from './App.svelte';
import { conversation, filed, opened } from './lib/chat/later';
import { loader } from './lib/md/loader.svelte';
import './styles/index.css';

const target = document.getElementById('app');
if (!target) throw new Error('index.html has no #app');
mount(App, { target });
void conversation.load();
void loader.load();
void opened.load();
void filed.load();
