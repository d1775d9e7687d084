// Whether the sidebar is open: in narrow windows only, where it covers the page.
import { signal } from '../lib.js';

export const sidebarOpen = signal(false);
