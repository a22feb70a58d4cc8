//! A plan as people read it.

use std::fmt;

use super::Plan;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.subject.rsplit('/').next().unwrap_or_default();
        match self.state {
            Some(state) => writeln!(f, "{name}: {state}")?,
            None => writeln!(f, "hub {name}")?,
        }
        if let Some(proof) = &self.proof {
            writeln!(f, "  egress {}", proof.egress)?;
            writeln!(f, "  reach  {}", proof.reach)?;
        }
        if self.steps.is_empty() {
            writeln!(f, "  nothing to write")?;
            for wait in &self.waits {
                writeln!(f, "     waits for {wait}")?;
            }
        }
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {}. {}: {} {}", number + 1, step.id, step.method, step.target)?;
            writeln!(f, "     because {}", step.why)?;
            for wait in &step.waits {
                writeln!(f, "     waits for {wait}")?;
            }
        }
        for finding in &self.findings {
            writeln!(f, "  finding {}: {}", finding.code.text(), finding.message)?;
            if !finding.help.is_empty() {
                writeln!(f, "     {}", finding.help)?;
            }
        }
        Ok(())
    }
}
