// The list of keyboard shortcuts.

export const help = {
  title: 'Keyboard shortcuts',
  groups: [
    [
      'Everywhere',
      [
        [['/'], 'search'],
        [['Ctrl', 'K'], 'command palette'],
        [['g', 'o'], 'overview'],
        [['g', 't'], 'tasks'],
        [['g', 'f'], 'failures'],
        [['g', 'c'], 'workflows'],
        [['g', 'w'], 'workers'],
        [['g', 'q'], 'queues'],
        [['l'], 'pause/resume live updates'],
        [['t'], 'switch theme'],
        [['?'], 'keyboard shortcuts'],
        [['Esc'], 'close or clear selection'],
      ],
    ],
    [
      'Lists',
      [
        [['j'], 'next row'],
        [['k'], 'previous row'],
        [['x'], 'select'],
        [['Shift', 'x'], 'select range'],
        [['Enter'], 'open'],
        [['r'], 're-run selected'],
        [['v'], 'revoke selected'],
      ],
    ],
    [
      'Task',
      [
        [['['], 'previous task'],
        [[']'], 'next task'],
        [['y'], 'copy task ID'],
        [['Shift', 'y'], 'copy link'],
        [['r'], 're-run'],
        [['v'], 'revoke'],
      ],
    ],
  ],
};
