// Whether the sidebar is open in narrow windows, where it covers the page.
import { signal } from '../lib.js';

export const sidebarOpen = signal(false);
