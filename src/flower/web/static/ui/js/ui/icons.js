// Drawn on 16 by 16, one stroke. The mark of the product is a bellflower: a bell of five petals,
// nodding from its stem.
import { html } from '../lib.js';

const PATHS = {
  overview: 'M2.5 9.5h3l2-6 2.5 9 1.800-5h1.700',
  tasks: 'M2.5 4h11M2.5 8h11M2.5 12h7',
  failures: 'M8 2.200 14.200 13H1.800L8 2.200ZM8 6.500v3M8 11.400v.1',
  workflows:
    'M4 2.100a1.600 1.600 0 1 0 .01 0M4 5.300v5.400M4 10.700a1.600 1.600 0 1 0 .01 0M12 ' +
    '6.400a1.600 1.600 0 1 0 .01 0M4 5.300C4 8 7 8 10.400 8',
  workers: 'M3 3.500h10v3.600H3zM3 9h10v3.500H3zM5.300 5.300h.1M5.300 10.800h.1',
  queues: 'M2.500 8 8 5l5.500 3L8 11 2.500 8ZM2.500 11 8 14l5.500-3M2.500 5 8 2l5.500 3',
  audit: 'M4 2.500h8v11H4zM6.200 5.500h3.600M6.200 8h3.600M6.200 10.500h2',
  jobs: 'M3 4.500h2M7.500 4.500H13M3 8h2M7.500 8H13M3 11.500h2M7.500 11.500H13',
  settings:
    'M2.500 5h6M11.500 5h2M2.500 11h2M7.500 11h6M10 3.500a1.500 1.500 0 1 0 .01 0M6 9.500a1.500 1.500 0 1 0 .01 0',
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM10.700 10.700 14 14',
  sun:
    'M8 10.800a2.800 2.800 0 1 0 0-5.600 2.800 2.800 0 0 0 0 5.600ZM8 1.500v1M8 ' +
    '13.500v1M14.500 8h-1M2.500 8h-1M12.600 3.400l-.7.7M4.100 11.900l-.7.7M12.600 ' +
    '12.600l-.7-.7M4.100 4.100l-.7-.7',
  moon: 'M13.500 9.500A5.800 5.800 0 0 1 6.500 2.500a5.800 5.800 0 1 0 7 7Z',
  system: 'M2.500 3h11v7.500h-11zM6 13.500h4',
  copy: 'M6 6h7v7.500H6zM10 6V2.500H3V10h3',
  retry: 'M13 8a5 5 0 1 1-1.500-3.600L13 6M13 2.500V6H9.500',
  stop: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM4 4l8 8',
  down: 'M4 6.500 8 10.500l4-4',
  up: 'M4 9.500 8 5.500l4 4',
  right: 'M6.500 4l4 4-4 4',
  left: 'M9.500 4l-4 4 4 4',
  columns: 'M2.500 3h11v10h-11zM6.200 3v10M9.800 3v10',
  more: 'M3.500 8h.1M8 8h.1M12.500 8h.1',
  external: 'M6 3.500H3v9.500h9.500v-3M9 3h4v4M13 3 7.500 8.500',
  x: 'M4 4l8 8M12 4l-8 8',
  save: 'M4 2.500h8V14l-4-3-4 3z',
  export: 'M8 2.500v7M5 7l3 3 3-3M3 13.500h10',
  edit: 'M3 13l.7-3L10.500 3.200l2.300 2.300L6 12.300 3 13Z',
  menu: 'M2.500 4h11M2.500 8h11M2.500 12h11',
  filter: 'M2.500 3.500h11L9.500 8.500v4.500l-3-1.500v-3z',
  clock: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 4.800V8l2.200 1.500',
  check: 'M3.500 8.500 6.500 11.500l6-7',
  plus: 'M8 3v10M3 8h10',
  info: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 7.500v3.500M8 5v.1',
  bolt: 'M9 1.800 3.500 9H8l-1 5.200L12.500 7H8z',
  trash: 'M3 4.500h10M6.500 4.500V2.800h3v1.700M4.500 4.500l.6 9h5.800l.6-9',
  key: 'M5.500 10.500a3 3 0 1 0-.01 0M7.700 8.300 13.500 2.500M11.500 4.500l1.700 1.700',
};

/** @param {{n: string}} props */
export const Icon = ({ n }) => html`
  <svg class="ico" viewBox="0 0 16 16" aria-hidden="true">
    <path d=${PATHS[n]} />
  </svg>
`;

/** The product's mark, in the colour around it. */
export const Mark = () => html`
  <svg class="mark" viewBox="0 0 16 16" aria-hidden="true">
    <path
      d="M13.300 1.300C10.600.9 8.600 1.900 8 4"
      fill="none"
      stroke="currentColor"
      stroke-width="1.500"
      stroke-linecap="round"
    />
    <path
      d="M8 3.200c2.700 0 4 1.900 4.200 4.800.1 2 .7 3.500 1.900 4.700-1.300.5-2.300.3-3.200-.4
        -.6 1.300-1.500 2.200-2.900 2.900-1.400-.7-2.300-1.600-2.900-2.900-.9.7-1.900.9-3.200.4
        1.200-1.200 1.800-2.700 1.900-4.700C4 5.100 5.300 3.200 8 3.200Z"
      fill="currentColor"
    />
  </svg>
`;
